/** Every small tree of supervisors, and what a restart in it must do, written down once more. */
import type { RestartKind } from "../../../src/runtime/actor.ts";
import {
  actor,
  type Strategy,
  type SupervisorSpec,
  supervisor,
} from "../../../src/runtime/topology.ts";
import { probe } from "../../fixtures/actors/probe.ts";

/** A tree as data: a leaf is its restart kind, a branch its strategy, patience and children. */
export interface Branch {
  readonly strategy: Strategy;
  /** False: the supervisor gives up at the first failure. */
  readonly patient: boolean;
  readonly children: readonly Node[];
}
export type Node = RestartKind | Branch;

export const STRATEGIES: readonly Strategy[] = ["one_for_one", "one_for_all", "rest_for_one"];
export const KINDS: readonly RestartKind[] = ["permanent", "transient", "temporary"];

type Shape = "leaf" | readonly Shape[];

/** All shapes to `depth` with one or two children a branch. */
function shapes(depth: number): readonly (readonly Shape[])[] {
  const below: readonly Shape[] = depth === 1 ? ["leaf"] : ["leaf", ...shapes(depth - 1)];
  return [...below.map((one) => [one]), ...below.flatMap((one) => below.map((two) => [one, two]))];
}

function count(shape: Shape): { leaves: number; branches: number } {
  if (shape === "leaf") return { leaves: 1, branches: 0 };
  const sums = shape.map(count);
  return {
    leaves: sums.reduce((sum, { leaves }) => sum + leaves, 0),
    branches: sums.reduce((sum, { branches }) => sum + branches, 1),
  };
}

function dress(shape: Shape): readonly Node[] {
  if (shape === "leaf") return KINDS;
  const [first, second] = shape.map(dress);
  const rows = (first ?? []).flatMap((one) =>
    second === undefined ? [[one]] : second.map((two) => [one, two]),
  );
  return rows.flatMap((children) =>
    // The strategy of a supervisor that gives up is never asked for.
    [...STRATEGIES.map((strategy) => ({ strategy, patient: true, children }))].concat({
      ...{ strategy: "one_for_one", patient: false, children },
    }),
  );
}

/** Every tree to depth 3 with at most so many leaves and branches, in every dress. */
export function* trees(mostLeaves: number, mostBranches: number): Generator<Branch> {
  for (const shape of shapes(3)) {
    const { leaves, branches } = count(shape);
    if (leaves > mostLeaves || branches > mostBranches) continue;
    for (const node of dress(shape)) if (typeof node !== "string") yield node;
  }
}

/** A tree with the names of its leaves: a, b, c, in start order. */
export interface Named {
  readonly spec: SupervisorSpec;
  readonly kinds: ReadonlyMap<string, RestartKind>;
  /** The branches from the root to the parent of each leaf. */
  readonly paths: ReadonlyMap<string, readonly NamedBranch[]>;
}

export interface NamedBranch {
  readonly strategy: Strategy;
  readonly patient: boolean;
  /** For every child, the leaves below it. */
  readonly groups: readonly (readonly string[])[];
}

const definitions = Object.fromEntries(
  KINDS.map((restart) => [restart, probe(undefined, { supervision: { restart, intensity: 100 } })]),
);

export function name(tree: Branch): Named {
  const kinds = new Map<string, RestartKind>();
  const paths = new Map<string, readonly NamedBranch[]>();
  function build(branch: Branch, above: readonly NamedBranch[]): SupervisorSpec {
    const groups: string[][] = [];
    const own: NamedBranch = { strategy: branch.strategy, patient: branch.patient, groups };
    const path = [...above, own];
    const children: Record<string, SupervisorSpec["children"][string]> = {};
    branch.children.forEach((child, index) => {
      const before = kinds.size;
      if (typeof child === "string") {
        const leaf = String.fromCharCode(97 + before);
        kinds.set(leaf, child);
        paths.set(leaf, path);
        children[leaf] = actor(definitions[child] as never, { thread: "main" });
      } else children[`group${index}`] = build(child, path);
      groups.push([...kinds.keys()].slice(before));
    });
    const intensity = branch.patient ? 100 : 0;
    return supervisor({ strategy: branch.strategy, intensity, children });
  }
  return { spec: build(tree, []), kinds, paths };
}

/** What must happen, as a trace, when `leaf` fails while everything is up. */
export function expectedTrace(tree: Named, leaf: string, normal: boolean): string[] {
  const kind = tree.kinds.get(leaf);
  const path = tree.paths.get(leaf) ?? [];
  if (kind === "temporary" || (kind === "transient" && normal)) return [`retired ${leaf}`];
  const level = path.findLastIndex(({ patient }) => patient);
  const gaveUp = path.slice(level + 1).map(() => "gave-up");
  if (level < 0) {
    const others = [...tree.kinds.keys()].filter((other) => other !== leaf);
    return [...gaveUp, ...others.reverse().map((other) => `-${other}!`), "ended"];
  }
  const affected = affectedAt(path[level] as NamedBranch, leaf);
  const stops = affected
    .filter((other) => other !== leaf)
    .reverse()
    .flatMap((other) =>
      tree.kinds.get(other) === "temporary" ? [`-${other}!`, `retired ${other}`] : [`-${other}`],
    );
  const starts = affected.filter((other) => tree.kinds.get(other) !== "temporary");
  return [...gaveUp, ...stops, ...starts.map((other) => `+${other}`)];
}

function affectedAt({ strategy, groups }: NamedBranch, leaf: string): readonly string[] {
  const index = groups.findIndex((group) => group.includes(leaf));
  if (strategy === "one_for_one") return groups[index] ?? [];
  return groups.slice(strategy === "one_for_all" ? 0 : index).flat();
}

/** Failures worth trying: among the others a transient actor is like a permanent one. */
export function failures({ kinds }: Named): { leaf: string; normal: boolean }[] {
  return [...kinds].flatMap(([leaf, kind]) => {
    const others = [...kinds].filter(([other]) => other !== leaf);
    if (others.some(([, other]) => other === "transient")) return [];
    return (kind === "transient" ? [false, true] : [false]).map((normal) => ({ leaf, normal }));
  });
}
