/**
 * What must not compile. The type checker reads this file and nothing runs it: every marked line
 * has to be an error, else its mark is one.
 */
import { z } from "zod";
import { call, cast, protocol } from "../../src/protocols/protocol.ts";
import { type ActorRef, defineActor } from "../../src/runtime/actor.ts";

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
