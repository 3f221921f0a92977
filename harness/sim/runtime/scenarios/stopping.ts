/** A stop at any moment: it ends, in order, within its limit, and nobody is left waiting. */
import { actor, createRandom, EsperError, supervisor } from "esper-runtime";
import type { Scenario } from "esper-runtime/testkit";
import { SinkProtocol, SourceProtocol, sink, source } from "../actors.ts";
import { Ledger, linked, must } from "../ledger.ts";

const ASKS = 12;
const GRACE_MS = 2_000;

/** Stops a system that is at work, one of its threads perhaps just dying. */
export const stopping: Scenario = {
  name: "stopping",
  async run(start) {
    const ledger = new Ledger(createRandom(31, "ledger"));
    const config = () => ({ ledger, holdMs: 1 });
    const children = {
      one: actor(sink, { thread: "one", mailbox: { capacity: 8, overflow: "wait" }, config }),
      two: actor(sink, { thread: "two", config }),
      here: actor(source, { thread: "main", config }),
      there: actor(source, { thread: "two", config }),
    };
    const kit = await linked(start, supervisor({ intensity: 1_000, children }), {
      ringBytes: 1_024,
    });
    for (const from of ["here", "there"]) {
      const wish = { to: "one", lane: "note", count: 40, burst: 8, how: "offer" } as const;
      kit.ref(SourceProtocol, from).cast("send", wish);
    }
    const ends: unknown[] = [];
    for (let value = 0; value < ASKS; value++) {
      const to = value % 2 === 0 ? "one" : "two";
      const options = {
        deadlineMs: 30_000,
        onRestart: value % 3 === 0 ? "retry" : "fail",
      } as const;
      const note = (end: unknown): void => void ends.push(end);
      kit.ref(SinkProtocol, to).call("ask", { value, holdMs: 20 }, options).then(note, note);
    }
    if (kit.random.integer(2) === 0) kit.sometime("kill", () => kit.kill("one"), 200);
    await kit.advance(kit.random.integer(60));
    const began = kit.clock.monotonicMs();
    await kit.settle(kit.system.stop({ graceMs: GRACE_MS }));
    const tookMs = kit.clock.monotonicMs() - began;
    must(tookMs <= GRACE_MS + 500, `the stop takes its grace at most (${tookMs} ms)`);
    // A call that waits out a restart looks again after its pause.
    await kit.advance(1_000);
    must(ends.length === ASKS, `every call has an end (${ends.length} of ${ASKS})`);
    const uncoded = ends.filter((end) => !(typeof end === "number" || end instanceof EsperError));
    must(uncoded.length === 0, "every call ends with its answer or a coded error");
    must(
      kit.system.status().every(({ state }) => state === "stopped"),
      "every actor has stopped",
    );
  },
};
