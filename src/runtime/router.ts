/**
 * Routers: references that pass each message on to one of several actors of one protocol. They
 * live where they are made, cost no hop, and pass over members that are gone or restarting as long
 * as there are others. A message that was passed on stays with its member.
 */
import { EsperError } from "../protocols/errors.ts";
import type {
  CallName,
  CastName,
  MessageMap,
  PayloadOf,
  ReplyOf,
  RequestOf,
} from "../protocols/protocol.ts";
import type { ActorRef, CallOptions, OfferOptions } from "./actor.ts";
import { HashRing } from "./hash-ring.ts";

/** Which member a message goes to: its place among `refs`. */
type Choose = (name: string, payload: unknown) => number;

/** Points of one member on the ring; more spread the keys more evenly. */
const DEFAULT_REPLICAS = 128;
const MAX_REPLICAS = 4_096;
const MAX_MEMBERS = 65_536;

/** A router is a reference; where a single actor is meant (watch, payloads), it is refused. */
class Router<M extends MessageMap> implements ActorRef<M> {
  readonly name: string;
  readonly #refs: readonly ActorRef<M>[];
  readonly #choose: Choose;

  constructor(kind: string, refs: readonly ActorRef<M>[], choose: Choose) {
    this.name = `${kind} of ${refs.length} actors`;
    this.#refs = refs;
    this.#choose = choose;
  }

  get depth(): number {
    return this.#refs.reduce((sum, { depth }) => sum + depth, 0);
  }

  get available(): boolean {
    return this.#refs.some(({ available }) => available);
  }

  call<K extends CallName<M>>(
    name: K,
    payload: RequestOf<M, K>,
    options: CallOptions,
  ): Promise<ReplyOf<M, K>> {
    return this.#member(name, payload).call(name, payload, options);
  }

  cast<K extends CastName<M>>(name: K, payload: PayloadOf<M, K>): boolean {
    return this.#member(name, payload).cast(name, payload);
  }

  offer<K extends CastName<M>>(
    name: K,
    payload: PayloadOf<M, K>,
    options: OfferOptions,
  ): Promise<void> {
    return this.#member(name, payload).offer(name, payload, options);
  }

  #member(name: string, payload: unknown): ActorRef<M> {
    return this.#refs[this.#choose(name, payload)] as ActorRef<M>;
  }
}

/** One after the other, in the order given. @throws {CONFIG_INVALID} for no members */
export function roundRobin<M extends MessageMap>(refs: readonly ActorRef<M>[]): ActorRef<M> {
  const members = checked("roundRobin", refs);
  const { length } = members;
  let next = 0;
  return new Router("roundRobin", members, () => {
    const first = next;
    for (let step = 0; step < length; step++) {
      const at = (first + step) % length;
      if (members[at]?.available !== true) continue;
      next = (at + 1) % length;
      return at;
    }
    next = (first + 1) % length;
    return first;
  });
}

/**
 * Where the fewest messages wait, as of a moment ago; among equals in turn.
 * @throws {CONFIG_INVALID} for no members
 */
export function leastMailbox<M extends MessageMap>(refs: readonly ActorRef<M>[]): ActorRef<M> {
  const members = checked("leastMailbox", refs);
  const { length } = members;
  let next = 0;
  return new Router("leastMailbox", members, () => {
    let best = next;
    let least = Number.POSITIVE_INFINITY;
    for (let step = 0; step < length && least > 0; step++) {
      const at = (next + step) % length;
      const { available, depth } = members[at] as ActorRef<M>;
      if (!available || depth >= least) continue;
      best = at;
      least = depth;
    }
    next = (best + 1) % length;
    return best;
  });
}

/** What `keyOf` is asked: the name of the message and its payload, together. */
export type RoutedMessage<M extends MessageMap> = {
  readonly [K in keyof M & string]: { readonly name: K; readonly payload: PayloadOf<M, K> };
}[keyof M & string];

/** How keys are spread over the members. */
export interface HashOptions {
  /** Points of each member on the ring, 1 to 4,096. Default 128. */
  readonly replicas?: number;
}

/**
 * Messages with the same key go to the same actor. With another set of members only about one key
 * in n changes its actor; while an actor is gone or restarting its keys go to the others.
 * @throws {CONFIG_INVALID} for no members, or `replicas` out of range
 */
export function consistentHash<M extends MessageMap>(
  refs: readonly ActorRef<M>[],
  keyOf: (message: RoutedMessage<M>) => string | number,
  { replicas = DEFAULT_REPLICAS }: HashOptions = {},
): ActorRef<M> {
  const members = checked("consistentHash", refs);
  if (!Number.isInteger(replicas) || replicas < 1 || replicas > MAX_REPLICAS) {
    throw invalid("consistentHash.replicas", replicas, `1 to ${MAX_REPLICAS}`);
  }
  const ring = new HashRing(distinct(members.map(({ name }) => name)), replicas);
  const isAvailable = (member: number): boolean => members[member]?.available === true;
  return new Router("consistentHash", members, (name, payload) => {
    const key = keyOf({ name, payload } as RoutedMessage<M>);
    return ring.find(String(key), isAvailable);
  });
}

/** Spawned actors of two threads may bear the same name; their order tells them apart. */
function distinct(names: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return names.map((name) => {
    const count = seen.get(name) ?? 0;
    seen.set(name, count + 1);
    return count === 0 ? name : `${name}/${count}`;
  });
}

function checked<M extends MessageMap>(
  path: string,
  refs: readonly ActorRef<M>[],
): readonly ActorRef<M>[] {
  if (refs.length >= 1 && refs.length <= MAX_MEMBERS) return [...refs];
  throw invalid(`${path}.refs`, refs.length, `1 to ${MAX_MEMBERS} members`);
}

function invalid(path: string, value: number, allowed: string): EsperError {
  const text = `${path} is ${value}; allowed: ${allowed}`;
  return new EsperError("CONFIG_INVALID", text, { path, value, allowed });
}
