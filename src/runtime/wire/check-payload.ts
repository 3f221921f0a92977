/**
 * Looks at a payload before it is encoded: what cannot cross threads is refused by name, with the
 * path to it; what needs more than the fast encoder is marked. It never changes the payload, and
 * its time is bounded: cycles end at the depth cap, shared subtrees at the value cap.
 */
import { MessagePort } from "node:worker_threads";
import { dehydrate, EsperError } from "../../protocols/errors.ts";
import type { RefCodec } from "./record-view.ts";

/** Holds values that msgpack alone would lose: -0, Map, Error, actor references, odd keys. */
export const ODD = 1;
/** Holds shared memory or a MessagePort: only structured clone through a port carries those. */
export const PARCEL = 2;
const REFUSED = -1;

export const DEPTH_MAX = 64;
const VALUES_MAX = 4_000_000;

const PLAIN = Object.prototype;
const LIST = Array.prototype;

const VIEW_PROTOTYPES: ReadonlySet<object> = new Set<object>([
  Int8Array.prototype,
  Uint8Array.prototype,
  Uint8ClampedArray.prototype,
  Int16Array.prototype,
  Uint16Array.prototype,
  Int32Array.prototype,
  Uint32Array.prototype,
  Float32Array.prototype,
  Float64Array.prototype,
  BigInt64Array.prototype,
  BigUint64Array.prototype,
  DataView.prototype,
  Buffer.prototype,
]);

// Module state, set before each walk: as parameters they would be handed on at every value.
let valuesLeft = 0;
let refs: RefCodec | null = null;

const isNegativeZero = (value: number): boolean => value === 0 && 1 / value < 0;

/** Keys that the encoder uses itself, or that decoding would rename. */
export function isOddKey(key: string): boolean {
  if (key.charCodeAt(0) !== 95 || key.charCodeAt(1) !== 95) return false;
  return key === "__proto__" || key === "__keys__";
}

/**
 * Marks of the payload: 0, or ODD and PARCEL together.
 * @throws {NOT_TRANSFERABLE} naming the first function, symbol, class instance or cycle.
 */
export function checkPayload(value: unknown, refCodec: RefCodec): number {
  valuesLeft = VALUES_MAX;
  refs = refCodec;
  const marks = marksOfAny(value);
  if (marks !== REFUSED) return marks;
  const tooMany = { path: "payload", why: `holds more than ${VALUES_MAX} values` };
  const { path, why } = valuesLeft < 0 ? tooMany : explain(value, "payload", 0);
  throw new EsperError("NOT_TRANSFERABLE", `${path} ${why}`, {
    path,
    why,
    allowed: "plain objects and arrays, Map, Set, Date, Error, bytes, primitives, actor references",
  });
}

/** A getter or proxy in the payload may throw whatever it likes. */
function marksOfAny(value: unknown): number {
  try {
    return marksOf(value, 0);
  } catch (cause) {
    const details = { path: "payload", why: "reading it failed" };
    throw new EsperError("NOT_TRANSFERABLE", "payload: reading it failed", details, cause);
  }
}

function marksOf(value: unknown, depth: number): number {
  switch (typeof value) {
    case "number":
      return isNegativeZero(value) ? ODD : 0;
    case "object":
      return value === null ? 0 : marksOfObject(value, depth);
    case "function":
    case "symbol":
      return REFUSED;
    default:
      return 0;
  }
}

function marksOfObject(value: object, depth: number): number {
  const prototype: unknown = Object.getPrototypeOf(value);
  valuesLeft -= 1;
  if (depth >= DEPTH_MAX || valuesLeft < 0) return REFUSED;
  if (prototype === PLAIN || prototype === null) {
    return marksOfRecord(value as Readonly<Record<string, unknown>>, depth + 1);
  }
  if (prototype === LIST) return marksOfList(value as readonly unknown[], depth + 1);
  return marksOfOther(value, prototype, depth + 1);
}

function marksOfRecord(record: Readonly<Record<string, unknown>>, depth: number): number {
  let marks = 0;
  for (const key in record) {
    if (isOddKey(key)) marks |= ODD;
    const value = record[key];
    // Strings first and without a call: they are most of what there is.
    if (typeof value === "string") continue;
    const inner = marksOf(value, depth);
    if (inner === REFUSED) return REFUSED;
    marks |= inner;
  }
  return marks;
}

function marksOfList(list: readonly unknown[], depth: number): number {
  let marks = 0;
  valuesLeft -= list.length;
  if (valuesLeft < 0) return REFUSED;
  for (let index = 0; index < list.length; index += 1) {
    const value = list[index];
    if (typeof value === "string") continue;
    const inner = marksOf(value, depth);
    if (inner === REFUSED) return REFUSED;
    marks |= inner;
  }
  return marks;
}

function marksOfOther(value: object, prototype: unknown, depth: number): number {
  if (ArrayBuffer.isView(value)) {
    if (!VIEW_PROTOTYPES.has(prototype as object)) return REFUSED;
    return value.buffer instanceof SharedArrayBuffer ? PARCEL : 0;
  }
  if (prototype === Map.prototype) {
    const inner = marksOfList([...(value as ReadonlyMap<unknown, unknown>)].flat(), depth);
    return inner === REFUSED ? REFUSED : inner | ODD;
  }
  if (prototype === Set.prototype) {
    return marksOfList([...(value as ReadonlySet<unknown>)], depth);
  }
  if (prototype === Date.prototype || prototype === ArrayBuffer.prototype) return 0;
  if (value instanceof Error) return marksOfError(value, depth);
  if (refs?.isRef(value)) return ODD;
  return value instanceof SharedArrayBuffer || value instanceof MessagePort ? PARCEL : REFUSED;
}

/** An error crosses as its plain data, so its details have to be plain. */
function marksOfError(error: Error, depth: number): number {
  const inner = marksOf(dehydrate(error).details, depth);
  return inner === REFUSED ? REFUSED : inner | ODD;
}

interface Refusal {
  readonly path: string;
  readonly why: string;
}

/** The first refusal in the same order; slow, because it carries the path. */
function explain(value: unknown, path: string, depth: number): Refusal {
  if (typeof value !== "object" || value === null) return { path, why: `is a ${typeof value}` };
  if (depth >= DEPTH_MAX) {
    return { path, why: `is nested deeper than ${DEPTH_MAX}, or in a cycle` };
  }
  const parts = partsOf(value, path);
  if (parts === null) return { path, why: `is an instance of ${classNameOf(value)}` };
  const part = parts.find(([, inner]) => marksOf(inner, depth + 1) === REFUSED);
  if (part === undefined) return { path, why: "changed while it was read" };
  return explain(part[1], part[0], depth + 1);
}

/** What is inside with its path; null for an instance of a class that cannot cross. */
function partsOf(value: object, path: string): readonly (readonly [string, unknown])[] | null {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === PLAIN || prototype === null) {
    return Object.entries(value).map(([key, inner]) => [pathTo(path, key), inner]);
  }
  if (prototype === LIST || prototype === Set.prototype) {
    return [...(value as Iterable<unknown>)].map((inner, index) => [`${path}[${index}]`, inner]);
  }
  if (prototype === Map.prototype) {
    const entries = [...(value as ReadonlyMap<unknown, unknown>)].flat();
    return entries.map((inner, index) => [
      `${path}.${index % 2 === 0 ? "key" : "value"}[${index >> 1}]`,
      inner,
    ]);
  }
  if (!(value instanceof Error)) return null;
  return [[`${path}.details`, dehydrate(value).details]];
}

const pathTo = (path: string, key: string): string =>
  /^[A-Za-z_$][\w$]*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;

function classNameOf(value: object): string {
  const made: unknown = Object.getPrototypeOf(value)?.constructor;
  return typeof made === "function" && made.name !== "" ? made.name : "a class";
}
