/** What differs between two checkpoints: arrays by name, metadata by path. Pure; keeps nothing. */
import {
  type ArrayType,
  type Checkpoint,
  type CheckpointArray,
  typeOf,
} from "./checkpoint-format.ts";

/** An array of one side, without its numbers. */
export interface ArrayShape {
  readonly type: ArrayType;
  readonly length: number;
}

/** One array that is not the same on both sides; the side that lacks it is null. */
export interface ArrayChange {
  readonly name: string;
  readonly change: "added" | "removed" | "resized" | "retyped" | "changed";
  readonly left: ArrayShape | null;
  readonly right: ArrayShape | null;
  /** Numbers that differ, and the first of them; null unless the arrays can be compared. */
  readonly different: number | null;
  readonly first: number | null;
  /** Largest |left - right| and where; null when none is finite. */
  readonly maxAbsolute: number | null;
  readonly maxAbsoluteAt: number | null;
  /** Largest |left - right| / max(|left|, |right|), 0 to 2, and where. */
  readonly maxRelative: number | null;
  readonly maxRelativeAt: number | null;
  /** Pairs that differ and of which a side is NaN or infinite. */
  readonly notFinite: number;
}

/** One value in the metadata, by its path, e.g. `trainer.progress.history[3].loss`. */
export interface MetaChange {
  readonly path: string;
  readonly change: "added" | "removed" | "changed";
  /** Absent on the side that lacks it. */
  readonly left?: unknown;
  readonly right?: unknown;
}

/** Everything that differs, arrays by name and metadata in the order of the left side. */
export interface CheckpointDiff {
  readonly identical: boolean;
  readonly arrays: readonly ArrayChange[];
  readonly meta: readonly MetaChange[];
}

const shapeOf = (array: CheckpointArray): ArrayShape => {
  return { type: typeOf(array), length: array.length };
};

const NOT_COMPARED = {
  ...{ different: null, first: null, notFinite: 0 },
  ...{ maxAbsolute: null, maxAbsoluteAt: null, maxRelative: null, maxRelativeAt: null },
} as const;

class Largest {
  value: number | null = null;
  at: number | null = null;

  see(value: number, at: number): void {
    if (this.value !== null && value <= this.value) return;
    this.value = value;
    this.at = at;
  }
}

function compareNumbers(left: CheckpointArray, right: CheckpointArray) {
  const absolute = new Largest();
  const relative = new Largest();
  let different = 0;
  let first: number | null = null;
  let notFinite = 0;
  for (let at = 0; at < left.length; at++) {
    const a = left[at] as number;
    const b = right[at] as number;
    if (Object.is(a, b)) continue;
    first ??= at;
    different += 1;
    const gap = Math.abs(a - b);
    if (!Number.isFinite(gap)) {
      notFinite += 1;
      continue;
    }
    absolute.see(gap, at);
    relative.see(gap === 0 ? 0 : gap / Math.max(Math.abs(a), Math.abs(b)), at);
  }
  return {
    ...{ different, first, notFinite },
    ...{ maxAbsolute: absolute.value, maxAbsoluteAt: absolute.at },
    ...{ maxRelative: relative.value, maxRelativeAt: relative.at },
  };
}

/** Null when both are the same, bit for bit but for the kind of a NaN. */
function compareArrays(
  name: string,
  left: CheckpointArray | undefined,
  right: CheckpointArray | undefined,
): ArrayChange | null {
  const shapes = { left: left ? shapeOf(left) : null, right: right ? shapeOf(right) : null };
  if (left === undefined || right === undefined) {
    const change = left === undefined ? "added" : "removed";
    return { name, change, ...shapes, ...NOT_COMPARED };
  }
  if (shapes.left?.type !== shapes.right?.type) {
    return { name, change: "retyped", ...shapes, ...NOT_COMPARED };
  }
  if (left.length !== right.length) return { name, change: "resized", ...shapes, ...NOT_COMPARED };
  const numbers = compareNumbers(left, right);
  return numbers.different === 0 ? null : { name, change: "changed", ...shapes, ...numbers };
}

type Container = Readonly<Record<string, unknown>> | readonly unknown[];

const isContainer = (value: unknown): value is Container =>
  typeof value === "object" && value !== null;

const PLAIN_KEY = /^[A-Za-z_][A-Za-z0-9_]*$/;

function pathTo(parent: string, key: string, isIndex: boolean): string {
  if (isIndex) return `${parent}[${key}]`;
  if (!PLAIN_KEY.test(key)) return `${parent}[${JSON.stringify(key)}]`;
  return parent === "" ? key : `${parent}.${key}`;
}

function* compareMeta(left: unknown, right: unknown, path: string): Generator<MetaChange> {
  const areBoth = isContainer(left) && isContainer(right);
  if (!areBoth || Array.isArray(left) !== Array.isArray(right)) {
    if (!Object.is(left, right)) yield { path, change: "changed", left, right };
    return;
  }
  const [before, after] = [new Map(Object.entries(left)), new Map(Object.entries(right))];
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    const at = pathTo(path, key, Array.isArray(left));
    if (!before.has(key)) yield { path: at, change: "added", right: after.get(key) };
    else if (!after.has(key)) yield { path: at, change: "removed", left: before.get(key) };
    else yield* compareMeta(before.get(key), after.get(key), at);
  }
}

/** What one must change in `left` to get `right`. */
export function diffCheckpoints(left: Checkpoint, right: Checkpoint): CheckpointDiff {
  const names = new Set([...Object.keys(left.arrays), ...Object.keys(right.arrays)]);
  const own = ({ arrays }: Checkpoint, name: string): CheckpointArray | undefined =>
    Object.hasOwn(arrays, name) ? arrays[name] : undefined;
  const arrays = [...names]
    .sort()
    .map((name) => compareArrays(name, own(left, name), own(right, name)))
    .filter((change) => change !== null);
  const meta = [...compareMeta(left.meta, right.meta, "")];
  return { identical: arrays.length + meta.length === 0, arrays, meta };
}
