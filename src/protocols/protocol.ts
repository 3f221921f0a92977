/**
 * How actors describe what they understand. A protocol is data: names, whether a message expects
 * a reply, and the lane it travels in. The payload types live only in the type system.
 */

/** Lanes in the order in which a mailbox serves them. */
export const LANES = ["system", "emergency", "control", "bulk"] as const;
export type Lane = (typeof LANES)[number];

export interface CallSpec<Request, Reply> {
  readonly kind: "call";
  readonly lane: Lane;
  /** Never present at run time: carries the types. */
  readonly types?: { readonly request: Request; readonly reply: Reply };
}

export interface CastSpec<Payload> {
  readonly kind: "cast";
  readonly lane: Lane;
  readonly types?: { readonly payload: Payload };
}

// biome-ignore lint/suspicious/noExplicitAny: the map is invariant in its payloads; `unknown` would reject every concrete protocol.
export type MessageMap = Readonly<Record<string, CallSpec<any, any> | CastSpec<any>>>;

export interface Protocol<Messages extends MessageMap> {
  readonly name: string;
  readonly messages: Messages;
}

export type CallName<M extends MessageMap> = {
  [K in keyof M & string]: M[K] extends { readonly kind: "call" } ? K : never;
}[keyof M & string];

export type CastName<M extends MessageMap> = Exclude<keyof M & string, CallName<M>>;

export type RequestOf<M extends MessageMap, K extends keyof M> =
  M[K] extends CallSpec<infer Request, infer _> ? Request : never;

export type ReplyOf<M extends MessageMap, K extends keyof M> =
  M[K] extends CallSpec<infer _, infer Reply> ? Reply : never;

export type PayloadOf<M extends MessageMap, K extends keyof M> =
  M[K] extends CastSpec<infer Payload> ? Payload : RequestOf<M, K>;

/** A message with a reply. Defaults to the control lane. */
export function call<Request, Reply>(options: { lane?: Lane } = {}): CallSpec<Request, Reply> {
  return { kind: "call", lane: options.lane ?? "control" };
}

/** A message without a reply. Defaults to the control lane. */
export function cast<Payload>(options: { lane?: Lane } = {}): CastSpec<Payload> {
  return { kind: "cast", lane: options.lane ?? "control" };
}

/** Names a set of messages. The name is also the default actor name in messages to people. */
export function protocol<const Messages extends MessageMap>(
  name: string,
  messages: Messages,
): Protocol<Messages> {
  return { name, messages };
}
