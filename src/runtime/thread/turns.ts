/**
 * What the runtime has an actor do beside its own messages: hear that another one is gone, handle
 * an event. It waits in the mailbox as a message of its own kind, so it is a turn like any other:
 * never inside another handler, subject to the same limits, and a failure in it is the actor's.
 */
import type { AnyActorDefinition } from "../actor.ts";
import { compileProtocol, type Kind } from "../wire/protocol-table.ts";
import type { Cell } from "./cell.ts";
import { Message } from "./message.ts";
import type { Attempt, Post } from "./post.ts";

/** The work of one turn. It is dropped unseen when the life it was meant for is over. */
export interface Turn {
  readonly isOver: boolean;
  run(): unknown;
}

interface TurnKinds {
  /** System lane: exempt from the bounds of the mailbox. */
  readonly notice: Kind;
  readonly event: Kind;
}

const KINDS = new WeakMap<AnyActorDefinition, TurnKinds>();

/** Their numbers follow those of the protocol, where no frame can name them. */
function kindsOf(definition: AnyActorDefinition): TurnKinds {
  const known = KINDS.get(definition);
  if (known !== undefined) return known;
  const { list, name: protocol } = compileProtocol(definition.protocol);
  const plain = { isCall: false, request: null, reply: null, protocol };
  const kinds: TurnKinds = {
    notice: { ...plain, index: list.length, name: "(notice)", lane: 0 },
    event: { ...plain, index: list.length + 1, name: "(event)", lane: 3 },
  };
  KINDS.set(definition, kinds);
  return kinds;
}

/** The handlers of these messages, in the places behind those of the definition. */
export function turnHandlers(): ((state: unknown, payload: unknown) => unknown)[] {
  const run = (_state: unknown, turn: unknown): unknown => {
    const { isOver } = turn as Turn;
    return isOver ? undefined : (turn as Turn).run();
  };
  return [run, run];
}

/** Never refused for want of room. */
export function giveNotice(post: Post, cell: Cell, from: number, turn: Turn): void {
  const { notice } = kindsOf(cell.definition);
  post.deliver(cell, new Message(notice, turn, from, null, null));
}

/** Refused when the mailbox has no room. */
export function giveEvent(post: Post, cell: Cell, from: number, turn: Turn): Attempt {
  const { event } = kindsOf(cell.definition);
  return post.deliver(cell, new Message(event, turn, from, null, null));
}
