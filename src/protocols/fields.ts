/**
 * Typed fields of a message, declared as data. A message with declared fields crosses threads as
 * plain words written straight into shared memory; its TypeScript type is inferred from the
 * declaration. Nothing here encodes: that is compiled from these declarations at run time.
 */
import { EsperError } from "./errors.ts";
import type { CallName, CastName, MessageMap, PayloadOf, ReplyOf, RequestOf } from "./protocol.ts";

/** How a field is written. */
export type FieldKind =
  | "u32"
  | "i32"
  | "f64"
  | "f32"
  | "bool"
  | "text"
  | "bytes"
  | "borrowed"
  | "ref"
  | "anything";

/** What of a protocol a field needs to know. */
export type ProtocolLike<M extends MessageMap> = {
  readonly name: string;
  readonly messages: M;
};

/** Finds the protocol of a reference; asked only once the reference is used. */
export type ProtocolSource = () => ProtocolLike<MessageMap>;

/** One declared field of a payload. */
export interface Field<T> {
  readonly kind: FieldKind;
  readonly optional: boolean;
  /** For `ref`: whom the field refers to. */
  readonly protocol: ProtocolSource | null;
  /** Never present at run time: carries the type. */
  readonly types?: T;
}

/** A field that may be left out. */
export interface OptionalField<T> extends Field<T | undefined> {
  readonly optional: true;
}

/** Fields by name. */
export type FieldMap = Readonly<Record<string, Field<unknown>>>;

/** The declared fields of a payload, and with them its type. */
export interface Fields<Shape> {
  readonly fields: FieldMap;
  /** Never present at run time: carries the type. */
  readonly types?: Shape;
}

type OptionalNames<F extends FieldMap> = {
  [K in keyof F]: F[K] extends OptionalField<unknown> ? K : never;
}[keyof F];

type ValueOf<F> = F extends Field<infer T> ? T : never;

/** The payload that a map of fields describes. */
export type ShapeOf<F extends FieldMap> = {
  readonly [K in Exclude<keyof F, OptionalNames<F>>]: ValueOf<F[K]>;
} & { readonly [K in OptionalNames<F>]?: ValueOf<F[K]> };

type Flat<T> = { [K in keyof T]: T[K] };

/** What a reference that arrived in a message can do. */
export interface RefTo<M extends MessageMap> {
  readonly name: string;
  /** See `ActorRef`. */
  call<K extends CallName<M>>(
    name: K,
    payload: RequestOf<M, K>,
    options: { readonly deadlineMs: number },
  ): Promise<ReplyOf<M, K>>;
  /** See `ActorRef`. */
  cast<K extends CastName<M>>(name: K, payload: PayloadOf<M, K>): boolean;
}

/** What crosses as it is; its methods are not looked at. The last one is a reference. */
type Opaque =
  | Date
  | ArrayBufferView
  | ArrayBufferLike
  | Error
  | { readonly call: unknown; readonly cast: unknown };

/** The same type when it can cross threads; a function or symbol, however deep, is `never`. */
export type Wire<T> = T extends symbol | ((...args: never[]) => unknown)
  ? never
  : T extends Opaque
    ? T
    : T extends ReadonlyMap<infer K, infer V>
      ? ReadonlyMap<Wire<K>, Wire<V>>
      : T extends ReadonlySet<infer V>
        ? ReadonlySet<Wire<V>>
        : T extends object
          ? { [K in keyof T]: Wire<T[K]> }
          : T;

/** `Args` when `T` can cross threads; else a parameter that nobody can give. */
export type Sendable<T, Args extends readonly unknown[]> = [T] extends [Wire<T>]
  ? Args
  : [refused: "a function or a symbol cannot cross threads"];

function field<T>(kind: FieldKind): Field<T> {
  return Object.freeze({ kind, optional: false, protocol: null });
}

/** An integer from 0 to 2^32 - 1. */
export const u32: Field<number> = field("u32");
/** An integer from -2^31 to 2^31 - 1. */
export const i32: Field<number> = field("i32");
/** Any number, exactly. */
export const f64: Field<number> = field("f64");
/** Any number, rounded to single precision on the way. */
export const f32: Field<number> = field("f32");
/** True or false. */
export const bool: Field<boolean> = field("bool");
/** A string of any length. */
export const text: Field<string> = field("text");
/** Bytes that the receiver owns: copied out of shared memory for it. */
export const bytes: Field<Uint8Array> = field("bytes");
/** Bytes that the receiver reads where they lie; gone once its handler has settled. */
export const borrowed: Field<Uint8Array> = field("borrowed");

/** A reference to an actor of that protocol; a function where two protocols name each other. */
export function actorRef<M extends MessageMap>(
  protocol: ProtocolLike<M> | (() => ProtocolLike<M>),
): Field<RefTo<M>> {
  const resolve = typeof protocol === "function" ? protocol : () => protocol;
  return Object.freeze({ kind: "ref", optional: false, protocol: resolve });
}

/** Anything that a message without declared fields may hold; slower than a typed field. */
export function anything<T>(): Field<T> {
  return field("anything");
}

/** The same field, which may be left out. */
export function optional<T>(inner: Field<T>): OptionalField<T> {
  return Object.freeze({ kind: inner.kind, optional: true, protocol: inner.protocol });
}

const NAME = /^[A-Za-z_$][\w$]{0,63}$/;
const FIELDS_MAX = 64;

function refuse(path: string, value: unknown, allowed: string): never {
  throw new EsperError("CONFIG_INVALID", `${path} is ${String(value)}; allowed: ${allowed}`, {
    path,
    value,
    allowed,
  });
}

/**
 * Declares the fields of one payload.
 * @throws {CONFIG_INVALID} for a field name that is not a plain identifier, or too many fields.
 */
export function fields<const F extends FieldMap>(map: F): Fields<Flat<ShapeOf<F>>> {
  const names = Object.keys(map);
  if (names.length > FIELDS_MAX) refuse("fields", names.length, `at most ${FIELDS_MAX} fields`);
  for (const name of names) {
    if (!NAME.test(name) || name === "__proto__") {
      refuse(`fields.${name}`, name, "an identifier of up to 64 characters");
    }
  }
  return Object.freeze({ fields: Object.freeze({ ...map }) });
}
