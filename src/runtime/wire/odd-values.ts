/**
 * Values that msgpack alone would lose on the way: -0, Map, errors, actor references and objects
 * with reserved keys. A payload that holds one is copied with boxes in their place before it is
 * encoded; decoding opens the boxes. The payload itself is never changed.
 */
import { addExtension } from "msgpackr";
import { dehydrate, EsperError, invariant, rehydrate } from "../../protocols/errors.ts";
import { isOddKey } from "./check-payload.ts";
import type { RefCodec } from "./record-view.ts";

/** The extension type of a box: unused by msgpackr, outside the range that it gives to users. */
export const BOX_TYPE = 0x6f;

const NEGATIVE_ZERO = 0;
const MAP = 1;
const ERROR = 2;
const REF = 3;
const ENTRIES = 4;

class Box {
  readonly kind: number;
  readonly content: readonly unknown[];

  constructor(kind: number, content: readonly unknown[]) {
    this.kind = kind;
    this.content = content;
  }
}

// The extension is global to msgpackr, so the codec that decodes says whose references it reads.
let currentRefs: RefCodec | null = null;

/** Sets whose references the boxes opened next hold. */
export function openRefsWith(refs: RefCodec): void {
  currentRefs = refs;
}

addExtension({
  Class: Box,
  type: BOX_TYPE,
  write: (box: Box) => [box.kind, box.content],
  read: open,
});

/** A copy of the payload in which every odd value is boxed. */
export function boxOddValues(value: unknown, refs: RefCodec): unknown {
  if (typeof value === "number") {
    return Object.is(value, -0) ? new Box(NEGATIVE_ZERO, []) : value;
  }
  if (typeof value !== "object" || value === null) return value;
  const box = (inner: unknown): unknown => boxOddValues(inner, refs);
  if (Array.isArray(value)) return Array.from(value, box);
  if (value instanceof Set) return new Set([...value].map(box));
  if (value instanceof Map) return new Box(MAP, [...value].flat().map(box));
  if (value instanceof Error) {
    const { code, name, message, details, stack } = dehydrate(value);
    return new Box(ERROR, [code, name, message, box(details), stack]);
  }
  if (refs.isRef(value)) {
    const { address, generation, fingerprint } = refs.toWire(value);
    return new Box(REF, [address, generation, fingerprint]);
  }
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof Date) {
    return value;
  }
  const entries = Object.entries(value);
  if (entries.some(([key]) => isOddKey(key))) return new Box(ENTRIES, entries.flat().map(box));
  return Object.fromEntries(entries.map(([key, inner]) => [key, box(inner)]));
}

/** Opens one box. What it throws ends as FRAME_MALFORMED of the whole body. */
function open(data: unknown): unknown {
  const [kind, content] = Array.isArray(data) ? data : [];
  if (!Array.isArray(content)) throw malformed(kind);
  switch (kind) {
    case NEGATIVE_ZERO:
      return -0;
    case MAP:
      return new Map(pairs(content));
    case ENTRIES:
      // Defines properties instead of setting them: `__proto__` is a key like any other.
      return Object.fromEntries(pairs(content).map(([key, value]) => [String(key), value]));
    case ERROR:
      return openError(content);
    case REF:
      return openRef(content);
    default:
      throw malformed(kind);
  }
}

function pairs(content: readonly unknown[]): [unknown, unknown][] {
  if (content.length % 2 !== 0) throw malformed("an odd number of keys and values");
  const list: [unknown, unknown][] = [];
  for (let index = 0; index < content.length; index += 2) {
    list.push([content[index], content[index + 1]]);
  }
  return list;
}

const BUILT_IN: ReadonlyMap<unknown, ErrorConstructor> = new Map<unknown, ErrorConstructor>(
  [TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError].map((made) => [
    made.name,
    made,
  ]),
);

const textOr = (value: unknown, fallback: string): string =>
  typeof value === "string" ? value : fallback;

/** A coded error comes back as itself, a built-in one as its class, any other as `Error`. */
function openError([code, name, message, details, stack]: readonly unknown[]): Error {
  const trace = typeof stack === "string" ? stack : null;
  const words = textOr(message, "");
  if (typeof code === "string") {
    // A code of another version is only a name to us; `code` is what its reader compares.
    const plain = typeof details === "object" && details !== null ? { ...details } : {};
    const wire = { code: code as EsperError["code"], name: textOr(name, "EsperError") };
    return rehydrate({ ...wire, message: words, details: plain, stack: trace });
  }
  const error = new (BUILT_IN.get(name) ?? Error)(words);
  if (error.name !== name) error.name = textOr(name, "Error");
  if (trace !== null) error.stack = trace;
  return error;
}

function openRef([address, generation, fingerprint]: readonly unknown[]): object {
  invariant(currentRefs !== null, "references are read by a codec that has them");
  const words = [address, generation, fingerprint].map(Number);
  if (!words.every(Number.isInteger)) throw malformed("a reference");
  return currentRefs.fromWire(words[0] ?? 0, words[1] ?? 0, words[2] ?? 0);
}

function malformed(what: unknown): EsperError {
  return new EsperError("FRAME_MALFORMED", `a box of the body holds ${String(what)}`, {
    path: "body.box",
    value: String(what),
  });
}
