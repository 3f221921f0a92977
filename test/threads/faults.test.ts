import { describe, expect, it } from "vitest";
import { WorkProtocol, work } from "../fixtures/actors/thread-actors.mjs";
import { runMessageDrill } from "../fixtures/threads/message-drill.mjs";
import { until } from "../unit/runtime/support.ts";
import { actor, startThreads, supervisor } from "./built.ts";
import { startPair } from "./dying.ts";

const DEADLINE = { deadlineMs: 5_000 };

describe("an injected fault on a worker thread", () => {
  it.each([
    ["kill", "an injected fault (kill) struck victim.count"],
    ["unhandled", "an injected fault (unhandled) struck victim.count"],
    ["exit=7", "exit code 7"],
    ["oom", "memory limit"],
    ["wedge", "the thread was stuck"],
  ])("%s ends the real thread, and the system replaces it", async (how, cause) => {
    const [kind = "", value] = how.split("=");
    const fault = `${kind}:victim.count${value === undefined ? "" : `=${value}`}@n=2`;
    // A heap takes its time to fill; only a hang is to be noticed soon.
    const stuckMs = kind === "wedge" ? 100 : 10_000;
    const pair = await startPair({
      faults: [fault],
      threadOptions: { left: { stuckMs, graceMs: 50, heapLimitMb: 32 } },
    });
    for (let n = 0; n < 3; n++) pair.victim.cast("count", 1);
    await until(() => pair.system.restarts === 2, 15_000);
    await pair.victim.call("echo", 1, { ...DEADLINE, onRestart: "retry" });
    expect(pair.find("thread-exit")?.cause).toContain(cause);
    expect(pair.find("fault")).toMatchObject({ actor: "victim", thread: "left", strikes: 1 });
    expect(pair.system.status().map(({ starts }) => starts)).toEqual([2, 2, 1]);
    await until(() => pair.counted() + pair.deadCasts() >= 3);
    expect(pair.counted() + pair.deadCasts()).toBe(3);
  });

  it.each(["crash", "reject", "overflow"])("%s restarts its actor alone", async (kind) => {
    const pair = await startPair({ faults: [`${kind}:victim.count@n=2`] });
    for (let n = 0; n < 3; n++) pair.victim.cast("count", 1);
    await until(() => pair.counted() === 3);
    expect(pair.system.status().map(({ starts }) => starts)).toEqual([2, 1, 1]);
    expect(pair.deadCasts()).toBe(0);
  });

  it("wedge with a time holds the thread that long, and the rest goes on", async () => {
    const pair = await startPair({
      faults: ["wedge:victim.echo=80ms@n=1"],
      threadOptions: { left: { stuckMs: 5_000 } },
    });
    const began = performance.now();
    const held = pair.victim.call("echo", 1, DEADLINE);
    expect(await pair.neighbour.call("echo", 2, DEADLINE)).toBe(2);
    expect(await held).toBe(1);
    expect(performance.now() - began).toBeGreaterThanOrEqual(79);
    expect(pair.system.restarts).toBe(0);
  });
});

describe("an injection into threads that run", () => {
  it("strikes what one worker sends to another", async () => {
    const tree = supervisor({
      children: {
        a: actor(work, { thread: "left" }),
        c: actor(work, { thread: "right" }),
      },
    });
    const { system, events } = await startThreads(tree, { faults: [] });
    const order = { to: "c", payload: 1, deadlineMs: 40 };
    expect(await system.ref(WorkProtocol, "a").call("forward", order, DEADLINE)).toBe(1);
    const fault = system.inject("drop:c.echo@n=1");
    const outcomes: unknown[] = [];
    // The other threads hear of a fault within a turn of their loops.
    while (fault.strikes === 0 || outcomes.at(-1) !== 1) {
      const call = system.ref(WorkProtocol, "a").call("forward", order, DEADLINE);
      outcomes.push(await call.catch(({ code }) => code));
    }
    expect(outcomes.filter((outcome) => outcome !== 1)).toEqual(["DEADLINE_EXCEEDED"]);
    expect(fault.strikes).toBe(1);
    expect(events.find(({ kind }) => kind === "fault")).toMatchObject({ thread: "left" });
  });

  it("holds for the thread's replacement, and its counts go on", async () => {
    const pair = await startPair({ faults: [] });
    const fault = pair.system.inject("exit:victim.echo@every=2,times=2");
    for (let n = 0; n < 6; n++) {
      await pair.victim.call("echo", n, { ...DEADLINE, onRestart: "retry" });
    }
    expect(fault.strikes).toBe(2);
    await until(() => pair.system.restarts === 4);
    fault.lift();
    expect(await pair.victim.call("echo", 9, DEADLINE)).toBe(9);
  });
});

describe.each(["heap", "ring"] as const)("messages to a mailbox of the kind %s", (mailbox) => {
  it("are handled once, in order, or are dead letters, whatever their actor does", async () => {
    const found = await runMessageDrill({
      ...{ messages: 3_000, mailbox },
      faults: [
        ...["crash:victim.take@every=211", "reject:victim.take@every=307"],
        ...["overflow:victim.take@every=401", "exit:victim.take@every=907"],
        ...["wedge:victim.take@n=1500", "oom:victim.take@n=2200"],
      ],
    });
    expect(found).toMatchObject({ accepted: 3_000, duplicated: 0, disordered: 0, lost: 0 });
    // What dies with a thread in a heap can make its actor fail no more.
    expect(found.restarts).toBeGreaterThanOrEqual(mailbox === "ring" ? 30 : 5);
    expect(found.restarts).toBe(found.strikes);
    const dead = Object.values(found.deadLetters).reduce((sum, count) => sum + count, 0);
    expect(found.handled + dead).toBe(3_000);
    if (mailbox === "ring") expect(found.deadLetters).toEqual({});
  });

  it("are quarantined after two tries that kill their actor, and the others go on", async () => {
    const faults = ["poison:victim.take@n=50"];
    const found = await runMessageDrill({ messages: 100, mailbox, faults });
    expect(found).toMatchObject({ handled: 99, disordered: 0, restarts: 2, lost: 0 });
    expect(found.deadLetters).toEqual({ quarantined: 1 });
  });
});
