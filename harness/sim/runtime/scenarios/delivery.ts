/** Order between two actors, and an end for every message, whatever dies meanwhile. */
import { actor, createRandom, supervisor } from "esper-runtime";
import type { Scenario, TestKit } from "esper-runtime/testkit";
import { SinkProtocol, SourceProtocol, sink, source } from "../actors.ts";
import { Ledger, linked, must, mustBalance, mustBeCalm } from "../ledger.ts";

const LANES = ["urgent", "note", "bulk"] as const;
/** Longer than any restart takes. */
const QUIET_MS = 5_000;

/** Three senders on three threads, every lane, one receiver: nothing is lost, nothing overtakes. */
export const order: Scenario = {
  name: "order",
  async run(start) {
    const ledger = new Ledger(createRandom(7, "ledger"));
    const config = () => ({ ledger });
    const kit = await linked(
      start,
      supervisor({
        children: {
          here: actor(source, { thread: "main", config }),
          left: actor(source, { thread: "left", config }),
          right: actor(source, { thread: "right", config }),
          sink: actor(sink, { thread: "sink", config }),
        },
      }),
      { ringBytes: 4_096 },
    );
    for (const from of ["here", "left", "right"]) {
      const ref = kit.ref(SourceProtocol, from);
      for (const lane of LANES) {
        ref.cast("send", { to: "sink", lane, count: 15, burst: 4, how: "cast" });
      }
    }
    await kit.run(() => ledger.handled.length === ledger.sent && ledger.sent === 135);
    must(ledger.again === 0, "nothing is delivered twice when nothing fails");
    mustBalance(kit, ledger);
  },
};

/** Sends `count` messages from the process itself, a few at a time. */
async function flood(kit: TestKit, ledger: Ledger, to: string, count: number): Promise<void> {
  const ref = kit.ref(SinkProtocol, to);
  for (let sent = 0; sent < count; sent++) {
    const lane = LANES[ledger.random.integer(3)] ?? "note";
    if (!ref.cast(lane, ledger.item("process", to, lane))) ledger.refused += 1;
    if (ledger.random.integer(4) === 0) await kit.advance(ledger.random.integer(3));
  }
}

/** Crashes, poison and the deaths of a thread under load: what is not handled is a dead letter. */
export const conservation: Scenario = {
  name: "conservation",
  async run(start) {
    const ledger = new Ledger(createRandom(11, "ledger"));
    const children = {
      remote: actor(sink, {
        thread: "side",
        mailbox: { capacity: 16 },
        config: () => ({ ledger, holdMs: 1 }),
      }),
      local: actor(sink, {
        thread: "main",
        mailbox: { capacity: 16 },
        config: () => ({ ledger, poisonOneIn: 9 }),
      }),
      plain: actor(sink, { thread: "side", mailbox: { capacity: 16 }, config: () => ({ ledger }) }),
    };
    const kit = await linked(start, supervisor({ intensity: 1_000, children }), {
      ringBytes: 1_024,
    });
    kit.sometime("crash", () => kit.crash("remote"), 150);
    kit.sometime("crash", () => kit.crash("plain"), 150);
    kit.sometime("kill", () => kit.kill("remote"), 150);
    kit.sometime("kill", () => kit.kill("plain"), 300);
    for (const to of ["remote", "local", "plain"]) await flood(kit, ledger, to, 30);
    await kit.advance(QUIET_MS);
    mustBeCalm(kit);
    mustBalance(kit, ledger);
  },
};

/** A flood of emergencies holds bulk back, but for 63 messages at most. */
export const progress: Scenario = {
  name: "progress",
  async run(start) {
    const ledger = new Ledger(createRandom(13, "ledger"));
    const config = () => ({ ledger });
    const children = {
      sender: actor(source, { thread: "left", config }),
      alarm: actor(source, { thread: "right", config }),
      sink: actor(sink, { thread: "sink", mailbox: { capacity: 512 }, config }),
    };
    const kit = await linked(start, supervisor({ children }), { ringBytes: 65_536 });
    const bulk = { to: "sink", lane: "bulk", count: 12, burst: 12, how: "cast" } as const;
    kit.ref(SourceProtocol, "sender").cast("send", bulk);
    await kit.run(() => ledger.sent === 12);
    const free = kit.hold(({ thread, kind }) => thread === "sink" && kind === "loop");
    const flooding = { ...bulk, lane: "urgent", count: 80, burst: 80 } as const;
    kit.ref(SourceProtocol, "alarm").cast("send", flooding);
    await kit.run(() => ledger.sent === 92);
    free();
    await kit.run(() => kit.status("sink").mailboxDepth === 0);
    const firstBulk = ledger.handled.findIndex(({ lane }) => lane === "bulk");
    must(firstBulk >= 0 && firstBulk <= 64, `bulk is served after 63 emergencies (${firstBulk})`);
    mustBalance(kit, ledger);
  },
};
