/**
 * How actors describe what they understand. A protocol is data: names, whether a message expects
 * a reply, the lane it travels in and, if they are declared, the fields of its payload; otherwise
 * the payload types live only in the type system.
 */
import type { FieldMap, Fields, Sendable } from "./fields.ts";

/** Lanes in the order in which a mailbox serves them. */
export const LANES = ["system", "emergency", "control", "bulk"] as const;
/** One of the four lanes. */
export type Lane = (typeof LANES)[number];

/** A message with a reply. */
export interface CallSpec<Request, Reply> {
  readonly kind: "call";
  readonly lane: Lane;
  /** Absent: the request, or the reply, has no declared fields. */
  readonly requestFields?: FieldMap;
  readonly replyFields?: FieldMap;
  /** Never present at run time: carries the types. */
  readonly types?: { readonly request: Request; readonly reply: Reply };
}

/** A message without a reply. */
export interface CastSpec<Payload> {
  readonly kind: "cast";
  readonly lane: Lane;
  /** Absent: the payload has no declared fields. */
  readonly requestFields?: FieldMap;
  readonly types?: { readonly payload: Payload };
}

/** Messages by name. */
// biome-ignore lint/suspicious/noExplicitAny: the map is invariant in its payloads; `unknown` would reject every concrete protocol.
export type MessageMap = Readonly<Record<string, CallSpec<any, any> | CastSpec<any>>>;

/** What an actor understands. */
export interface Protocol<Messages extends MessageMap> {
  readonly name: string;
  readonly messages: Messages;
}

/** The names of the messages with a reply. */
export type CallName<M extends MessageMap> = {
  [K in keyof M & string]: M[K] extends { readonly kind: "call" } ? K : never;
}[keyof M & string];

/** The names of the messages without a reply. */
export type CastName<M extends MessageMap> = Exclude<keyof M & string, CallName<M>>;

/** What a call carries. */
export type RequestOf<M extends MessageMap, K extends keyof M> =
  M[K] extends CallSpec<infer Request, infer _> ? Request : never;

/** What a call is answered with. */
export type ReplyOf<M extends MessageMap, K extends keyof M> =
  M[K] extends CallSpec<infer _, infer Reply> ? Reply : never;

/** What a message carries. */
export type PayloadOf<M extends MessageMap, K extends keyof M> =
  M[K] extends CastSpec<infer Payload> ? Payload : RequestOf<M, K>;

/** Which lane a message travels in. */
export interface LaneOption {
  readonly lane?: Lane;
}

type Declared<T> = Fields<T> | undefined;
type DeclaredShape<D> = D extends Fields<infer T> ? T : undefined;

function fieldsOf(declared: Declared<unknown> | LaneOption): FieldMap | null {
  return declared !== undefined && "fields" in declared ? declared.fields : null;
}

/** A message with a reply. Defaults to the control lane. */
export function call<R extends Declared<unknown>, A extends Declared<unknown>>(
  request: R,
  reply: A,
  options?: LaneOption,
): CallSpec<DeclaredShape<R>, DeclaredShape<A>>;
export function call<Request, Reply>(
  ...options: Sendable<[Request, Reply], [options?: LaneOption]>
): CallSpec<Request, Reply>;
export function call(
  first: Declared<unknown> | LaneOption = {},
  reply?: Declared<unknown>,
  options?: LaneOption,
): CallSpec<unknown, unknown> {
  const request = fieldsOf(first);
  const answer = fieldsOf(reply);
  const lane = (options ?? laneOf(first)).lane ?? "control";
  return {
    kind: "call",
    lane,
    ...(request && { requestFields: request }),
    ...(answer && { replyFields: answer }),
  };
}

/** A message without a reply. Defaults to the control lane. */
export function cast<Payload>(payload: Fields<Payload>, options?: LaneOption): CastSpec<Payload>;
export function cast<Payload>(
  ...options: Sendable<Payload, [options?: LaneOption]>
): CastSpec<Payload>;
export function cast(
  first: Fields<unknown> | LaneOption = {},
  options?: LaneOption,
): CastSpec<unknown> {
  const payload = fieldsOf(first);
  const lane = (options ?? laneOf(first)).lane ?? "control";
  return { kind: "cast", lane, ...(payload && { requestFields: payload }) };
}

function laneOf(first: Declared<unknown> | LaneOption): LaneOption {
  return first !== undefined && "lane" in first ? first : {};
}

/** Names a set of messages. The name is also the default actor name in messages to people. */
export function protocol<const Messages extends MessageMap>(
  name: string,
  messages: Messages,
): Protocol<Messages> {
  return { name, messages };
}
