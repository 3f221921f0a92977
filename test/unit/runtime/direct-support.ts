/** An actor alone on its thread that keeps its messages in their rings, and its accounts. */

import { call, cast, protocol } from "../../../src/protocols/protocol.ts";
import type { ActorRef, AnyActorDefinition } from "../../../src/runtime/actor.ts";
import { defineActor } from "../../../src/runtime/actor.ts";
import type { SystemOptions } from "../../../src/runtime/thread/system.ts";
import type { DeadLetter, SystemEvent } from "../../../src/runtime/thread/types.ts";
import { actor, supervisor } from "../../../src/runtime/topology.ts";
import { type Started, startInline } from "./support.ts";

export const KeeperProtocol = protocol("keeper", {
  note: cast<number>(),
  bulk: cast<number>({ lane: "bulk" }),
  alarm: cast<number>({ lane: "emergency" }),
  first: cast<number>({ lane: "system" }),
  echo: call<unknown, unknown>(),
  /** Does not end before the test says so. */
  hold: call<number, number>(),
  holdCast: cast<number>(),
  throwing: cast<number>(),
  throwingCall: call<number, null>(),
  toSelf: cast<number>(),
  aside: call<null, null>(),
  /** Asks the other actor and answers with its answer. */
  ask: call<unknown, unknown>(),
  pass: call<unknown, unknown>(),
  /** Sends so many notes to the other actor. */
  flood: call<{ to: string; from: number; count: number }, number>(),
  child: call<null, unknown>(),
});

type Messages = (typeof KeeperProtocol)["messages"];

/** Outlives every thread. */
export interface Book {
  readonly notes: number[];
  readonly begun: number[];
  release: () => void;
  released: Promise<void>;
}

export function createBook(): Book {
  const book: Book = { notes: [], begun: [], release: () => {}, released: Promise.resolve() };
  block(book);
  return book;
}

/** Handlers that hold wait from now on until `release`. */
export function block(book: Book): void {
  book.released = new Promise((resolve) => {
    book.release = resolve;
  });
}

export function keeper(book: Book): AnyActorDefinition {
  const hold = async (_state: unknown, value: number): Promise<number> => {
    book.begun.push(value);
    await book.released;
    return value;
  };
  const note = (_state: unknown, value: number): void => void book.notes.push(value);
  return defineActor(import.meta.url, KeeperProtocol, {
    supervision: { intensity: 1_000, periodMs: 10 },
    mailbox: { capacity: 4_096 },
    setup: () => ({}),
    receive: {
      note,
      bulk: note,
      alarm: note,
      first: note,
      echo: (_state, payload) => payload,
      hold,
      holdCast: async (state, value) => void (await hold(state, value)),
      throwing(_state, value) {
        book.begun.push(value);
        throw new TypeError("as it must");
      },
      throwingCall(_state, value) {
        book.begun.push(value);
        throw new TypeError("as it must");
      },
      toSelf: (_state, value, ctx) => void ctx.self.cast("note", value),
      aside(_state, _payload, ctx) {
        ctx.stash();
        return null;
      },
      ask: (_state, payload, ctx) =>
        ctx.ref(KeeperProtocol, "other").call("echo", payload, { deadlineMs: 2_000 }),
      pass: (_state, payload, ctx) =>
        ctx.forward(ctx.ref(KeeperProtocol, "other"), "echo", payload),
      flood(_state, { to, from, count }, ctx) {
        const ref = ctx.ref(KeeperProtocol, to);
        for (let value = from; value < from + count; value++) ref.cast("note", value);
        return count;
      },
      child: (_state, _payload, ctx) => ctx.spawn(keeper(book)),
    },
  });
}

export interface Drill extends Started {
  readonly book: Book;
  readonly keeper: ActorRef<Messages>;
  readonly other: ActorRef<Messages>;
  letters(): DeadLetter[];
  find<K extends SystemEvent["kind"]>(kind: K): Extract<SystemEvent, { kind: K }>[];
}

/** `keeper` alone on its thread, `other` on another. */
export async function startDrill(
  mailbox: { capacity?: number; overflow?: "reject" | "wait" } = {},
  options: Partial<SystemOptions> = {},
  supervision: { restart?: "permanent" | "temporary" } = {},
): Promise<Drill> {
  const book = createBook();
  const definition = keeper(book);
  const tree = supervisor({
    ...{ intensity: 1_000, periodMs: 10 },
    children: {
      keeper: actor(definition, {
        ...{ thread: "alone", supervision },
        mailbox: { ...mailbox, kind: "ring" },
      }),
      other: actor(definition, { thread: "side" }),
    },
  });
  const started = await startInline(tree, options);
  const { system, events } = started;
  const find = <K extends SystemEvent["kind"]>(kind: K) =>
    events.filter((event): event is Extract<SystemEvent, { kind: K }> => event.kind === kind);
  return {
    ...{ ...started, book, find },
    keeper: system.ref(KeeperProtocol, "keeper"),
    other: system.ref(KeeperProtocol, "other"),
    letters: () => find("dead-letter") as unknown as DeadLetter[],
  };
}

export const numbers = (count: number, from = 0): number[] =>
  Array.from({ length: count }, (_, index) => from + index);
