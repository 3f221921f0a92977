/** References to actors: what user code holds, and how they travel inside payloads. */
import { EsperError } from "../../protocols/errors.ts";
import type { MessageMap } from "../../protocols/protocol.ts";
import type { ActorRef, CallOptions, OfferOptions } from "../actor.ts";
import { type CompiledProtocol, type Kind, protocolByFingerprint } from "../wire/protocol-table.ts";
import type { RefCodec } from "../wire/record-view.ts";
import { addressOf, slotOf, threadOf } from "./address.ts";
import type { Cell } from "./cell.ts";
import type { Post } from "./post.ts";

/** Where a reference leads. A spawned actor's generation is never 0, a tree actor's always. */
export interface Target {
  readonly name: string;
  readonly threadId: number;
  readonly slot: number;
  readonly generation: number;
  /** Null when the actor lives in another thread. */
  readonly cell: Cell | null;
}

/** Fields are plain: `Post` reads them for every message. */
export class Ref implements ActorRef<MessageMap> {
  readonly post: Post;
  readonly protocol: CompiledProtocol;
  readonly target: Target;
  /** The address of the owner. */
  readonly from: number;
  /** True: the owner sends. False: whoever is handling a message, the owner when nobody is. */
  readonly isBound: boolean;
  /** What was sent last: most references send one kind of message again and again. */
  private last: Kind | null = null;

  constructor(
    post: Post,
    protocol: CompiledProtocol,
    target: Target,
    from: number,
    isBound: boolean,
  ) {
    this.post = post;
    this.protocol = protocol;
    this.target = target;
    this.from = from;
    this.isBound = isBound;
  }

  get name(): string {
    return this.target.name;
  }

  /** What the name stands for in the protocol; undefined: nothing. */
  kindOf(name: string): Kind | undefined {
    const { last } = this;
    if (last !== null && last.name === name) return last;
    const kind = this.protocol.kinds.get(name);
    if (kind !== undefined) this.last = kind;
    return kind;
  }

  cast(name: string, payload: unknown): boolean {
    return this.post.cast(this, name, payload);
  }

  call(name: string, payload: unknown, options: CallOptions): Promise<never> {
    return this.post.call(this, name, payload, options) as Promise<never>;
  }

  offer(name: string, payload: unknown, options: OfferOptions): Promise<void> {
    return this.post.offer(this, name, payload, options);
  }

  get depth(): number {
    return this.post.depth(this.target);
  }

  get available(): boolean {
    return this.post.isAvailable(this.target);
  }
}

/** A reference to whoever has the name when something is sent. */
export class NamedRef implements ActorRef<MessageMap> {
  readonly name: string;
  /** @throws {PROTOCOL_MISMATCH} */
  readonly resolve: () => Ref;

  constructor(name: string, resolve: () => Ref) {
    this.name = name;
    this.resolve = resolve;
  }

  cast(name: string, payload: unknown): boolean {
    return this.resolve().cast(name, payload);
  }

  async call(name: string, payload: unknown, options: CallOptions): Promise<never> {
    return await this.resolve().call(name, payload, options);
  }

  async offer(name: string, payload: unknown, options: OfferOptions): Promise<void> {
    await this.resolve().offer(name, payload, options);
  }

  get depth(): number {
    return this.resolve().depth;
  }

  get available(): boolean {
    return this.resolve().available;
  }
}

/**
 * The one actor a reference leads to.
 * @throws {ACTOR_UNKNOWN} for what is no reference of this runtime, such as a router
 */
export function plainRef(ref: ActorRef<MessageMap>): Ref {
  if (ref instanceof Ref) return ref;
  if (ref instanceof NamedRef) return ref.resolve();
  const text = `${ref.name} does not lead to one actor; a reference from spawn or ref does`;
  throw new EsperError("ACTOR_UNKNOWN", text, { actor: ref.name });
}

/** What the codec of references needs of the host. */
export interface RefHost {
  post(): Post;
  readonly threadId: number;
  cellAt(slot: number): Cell | undefined;
  nameOf(address: number): string;
  /** Makes a spawned actor reachable from other threads. @throws {NOT_TRANSFERABLE} */
  export(cell: Cell): void;
}

export function createRefCodec(host: RefHost): RefCodec {
  return {
    isRef: (value) => value instanceof Ref || value instanceof NamedRef,
    toWire(value) {
      const ref = value instanceof NamedRef ? value.resolve() : value;
      if (!(ref instanceof Ref) || ref.target.threadId < 0) {
        throw new EsperError("NOT_TRANSFERABLE", "the value is no reference to an actor");
      }
      const { cell, threadId, slot, generation } = ref.target;
      if (cell !== null) host.export(cell);
      const { fingerprint } = ref.protocol;
      return { address: addressOf(threadId, slot), generation, fingerprint };
    },
    fromWire(address, generation, fingerprint) {
      const protocol = protocolByFingerprint(fingerprint);
      if (protocol === undefined) {
        const text = "a reference to an actor whose protocol this thread has not loaded";
        throw new EsperError("FRAME_MALFORMED", text, { fingerprint });
      }
      const threadId = threadOf(address);
      const slot = slotOf(address);
      const local = threadId === host.threadId ? host.cellAt(slot) : undefined;
      const cell = local?.generation === generation ? local : null;
      const target = { name: host.nameOf(address), threadId, slot, generation, cell };
      return new Ref(host.post(), protocol, target, addressOf(host.threadId, 0), false);
    },
  };
}
