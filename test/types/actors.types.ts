/**
 * What must not compile. The type checker reads this file and nothing runs it: every marked line
 * has to be an error, else its mark is one.
 */
import { z } from "zod";
import { call, cast, protocol } from "../../src/protocols/protocol.ts";
import { type ActorContext, type ActorRef, defineActor, topic } from "../../src/runtime/actor.ts";
import { consistentHash, roundRobin } from "../../src/runtime/router.ts";

const Ledger = protocol("ledger", {
  claim: call<{ id: string }, "fresh" | "replayed">(),
  sweep: cast<{ nowMs: number }>({ lane: "bulk" }),
});

declare const ledger: ActorRef<(typeof Ledger)["messages"]>;

export async function useOfARef(): Promise<readonly unknown[]> {
  const verdict: "fresh" | "replayed" = await ledger.call("claim", { id: "1" }, { deadlineMs: 5 });
  const sent: boolean = ledger.cast("sweep", { nowMs: 1 });
  // @ts-expect-error wrong payload of a call
  await ledger.call("claim", { id: 1 }, { deadlineMs: 5 });
  // @ts-expect-error call without a deadline
  await ledger.call("claim", { id: "1" }, {});
  // @ts-expect-error call without options
  await ledger.call("claim", { id: "1" });
  // @ts-expect-error call of a cast
  await ledger.call("sweep", { nowMs: 1 }, { deadlineMs: 5 });
  // @ts-expect-error cast of a call
  ledger.cast("claim", { id: "1" });
  // @ts-expect-error wrong payload of a cast
  ledger.cast("sweep", { now: 1 });
  // @ts-expect-error unknown message
  ledger.cast("forget", null);
  // @ts-expect-error the reply is not a number
  const wrong: number = await ledger.call("claim", { id: "1" }, { deadlineMs: 5 });
  return [verdict, sent, wrong];
}

export const complete = defineActor(import.meta.url, Ledger, {
  config: z.strictObject({ capacity: z.int() }),
  setup: (context) => ({ seen: new Set<string>(), capacity: context.config.capacity }),
  receive: {
    claim: ({ seen }, { id }) => (seen.has(id) ? "replayed" : "fresh"),
    sweep: ({ seen }) => seen.clear(),
  },
});

export const withoutAHandler = defineActor(import.meta.url, Ledger, {
  config: z.strictObject({}),
  setup: () => null,
  // @ts-expect-error the handler of `sweep` is missing
  receive: { claim: () => "fresh" as const },
});

export const withAWrongReply = defineActor(import.meta.url, Ledger, {
  config: z.strictObject({}),
  setup: () => null,
  receive: {
    // @ts-expect-error not one of the replies
    claim: () => "stale",
    sweep: () => {},
  },
});

type LedgerMessages = (typeof Ledger)["messages"];
declare const context: ActorContext<null, LedgerMessages>;
declare const other: ActorRef<LedgerMessages>;

export function namesWatchesAndLinks(): readonly unknown[] {
  const named: ActorRef<LedgerMessages> = context.spawn(
    complete,
    { capacity: 1 },
    { name: "ledger-2" },
  );
  // @ts-expect-error the config comes before the options
  context.spawn(complete, { name: "ledger-2" });
  // @ts-expect-error a name is a text
  context.spawn(complete, { capacity: 1 }, { name: 2 });
  const end: () => void = context.watch(ledger, ({ actor, reason, error }) => {
    const known: "stopped" | "crashed" | "gave-up" | "thread-lost" | "unknown" | "restarted" =
      reason;
    // @ts-expect-error no such reason
    if (reason === "bored") throw error ?? new Error(actor);
    context.log.info({ known }, actor);
  });
  // @ts-expect-error a watch needs somebody to tell
  context.watch(ledger);
  const unlink: () => void = context.link(ledger);
  // @ts-expect-error a name is no reference
  context.link("ledger");
  return [named, end, unlink];
}

export function topics(): readonly unknown[] {
  const Swept = topic<{ readonly nowMs: number }>("swept");
  const end: () => void = context.subscribe(Swept, ({ nowMs }) => context.guard && void nowMs);
  context.publish(Swept, { nowMs: 1 });
  // @ts-expect-error the event is another
  context.publish(Swept, { now: 1 });
  // @ts-expect-error the subscriber expects another event
  context.subscribe(Swept, (event: string) => void event);
  // @ts-expect-error a function cannot cross threads
  const Wrong = topic<{ readonly run: () => void }>("wrong");
  return [end, Wrong];
}

export async function routers(): Promise<readonly unknown[]> {
  const all: ActorRef<LedgerMessages> = roundRobin([ledger, other]);
  const byId = consistentHash([ledger, other], ({ name, payload }) =>
    name === "claim" ? payload.id : payload.nowMs,
  );
  const verdict: "fresh" | "replayed" = await byId.call("claim", { id: "1" }, { deadlineMs: 5 });
  // @ts-expect-error a key is a text or a number
  consistentHash([ledger], ({ payload }) => payload);
  // @ts-expect-error wrong payload through a router
  all.cast("sweep", { now: 1 });
  // @ts-expect-error routers are over references
  roundRobin(["ledger"]);
  return [verdict, all];
}
