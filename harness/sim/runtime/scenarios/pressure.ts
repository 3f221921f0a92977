/** Full mailboxes: who waits gets its turn, capacity is kept, and every place comes back. */
import { actor, createRandom, supervisor } from "esper-runtime";
import type { Scenario, TestKit } from "esper-runtime/testkit";
import { SinkProtocol, SourceProtocol, sink, source } from "../actors.ts";
import { Ledger, linked, must, mustBalance, mustBeCalm } from "../ledger.ts";

const CAPACITY = 4;
const OVERFLOWS = ["reject", "drop-oldest", "latest-wins", "wait"] as const;
const SENDERS = ["here", "left", "beside"] as const;
const EACH = 10;

/** Producers that wait, on the consumer's thread and on two others: all get through, in order. */
export const waiting: Scenario = {
  name: "waiting",
  async run(start) {
    const ledger = new Ledger(createRandom(17, "ledger"));
    const config = () => ({ ledger });
    const children = {
      here: actor(source, { thread: "main", config }),
      left: actor(source, { thread: "left", config }),
      beside: actor(source, { thread: "sink", config }),
      sink: actor(sink, {
        thread: "sink",
        mailbox: { capacity: CAPACITY, overflow: "wait" },
        config: () => ({ ledger, holdMs: 1 }),
      }),
    };
    const kit = await linked(start, supervisor({ children }), { ringBytes: 4_096 });
    kit.always(() => {
      // A look costs more than a step, and what is too much stays too much for several.
      if (kit.trace.length % 4 > 0) return;
      const { mailboxDepth } = kit.status("sink");
      must(mailboxDepth <= CAPACITY, `at most ${CAPACITY} messages wait (${mailboxDepth})`);
    });
    for (const from of SENDERS) {
      const ref = kit.ref(SourceProtocol, from);
      const wish = { to: "sink", count: EACH, burst: 5 } as const;
      ref.cast("send", { ...wish, lane: "note", how: "offer" });
      ref.cast("send", { ...wish, lane: "bulk", how: "cast" });
    }
    const all = SENDERS.length * EACH * 2;
    await kit.run(() => ledger.handled.length === all, 10_000);
    must(ledger.refused === 0, "whoever may wait is not refused");
    mustBalance(kit, ledger);
  },
};

/** Fills the mailbox of a receiver that is held back; returns how many it took. */
function fill(kit: TestKit, ledger: Ledger, to: string): number {
  const ref = kit.ref(SinkProtocol, to);
  let taken = 0;
  for (let tried = 0; tried < CAPACITY + 3; tried++) {
    if (ref.cast("note", ledger.item("probe", to, "note"))) taken += 1;
    else ledger.refused += 1;
  }
  return taken;
}

/** After crashes, drops and a dead thread a mailbox still has its places: no more, no fewer. */
export const credits: Scenario = {
  name: "credits",
  async run(start) {
    const ledger = new Ledger(createRandom(19, "ledger"));
    const config = () => ({ ledger });
    const sinks = OVERFLOWS.map((overflow) => {
      // What a receiver has dropped and not yet told dies untold with its thread.
      const thread = overflow === "reject" || overflow === "wait" ? "sink" : "dropping";
      const options = { thread, mailbox: { capacity: CAPACITY, overflow }, config };
      return [overflow, actor(sink, options)] as const;
    });
    const tree = supervisor({
      intensity: 1_000,
      children: {
        here: actor(source, { thread: "main", config }),
        left: actor(source, { thread: "left", config }),
        ...Object.fromEntries(sinks),
      },
    });
    const kit = await linked(start, tree, { ringBytes: 1_024 });
    for (const to of OVERFLOWS) {
      kit.sometime(`crash ${to}`, () => kit.crash(to), 400);
      for (const from of ["here", "left"]) {
        const wish = { to, lane: "note", count: 12, burst: 6, how: "cast" } as const;
        kit.ref(SourceProtocol, from).cast("send", wish);
      }
    }
    if (kit.random.integer(2) === 0) kit.sometime("kill", () => kit.kill("reject"), 400);
    await kit.run(() => ledger.sent === OVERFLOWS.length * 24);
    await kit.advance(10_000);
    mustBeCalm(kit);
    mustBalance(kit, ledger);
    const free = kit.hold(({ thread }) => thread === "sink");
    const taken = fill(kit, ledger, "reject");
    must(taken === CAPACITY, `an empty mailbox takes ${CAPACITY} messages (${taken})`);
    free();
    await kit.advance(1_000);
    mustBalance(kit, ledger);
  },
};
