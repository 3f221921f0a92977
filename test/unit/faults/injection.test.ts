import { describe, expect, it } from "vitest";
import { actor, supervisor } from "../../../src/runtime/topology.ts";
import { createMemory, ProbeProtocol, probe } from "../../fixtures/actors/probe.ts";
import { rejection, type Started, startInline, until } from "../runtime/support.ts";

const DEADLINE = { deadlineMs: 1_000 };
const OFTEN = { intensity: 1_000, periodMs: 50 };

interface Probed extends Started {
  readonly notes: number[];
  send(...values: readonly number[]): void;
}

/** `one` on the main thread, `two` and `three` together on another, whatever is said of them. */
async function start(faults: readonly string[], mailbox = {}): Promise<Probed> {
  const memory = createMemory();
  const tree = supervisor({
    ...OFTEN,
    children: {
      one: actor(probe(), { thread: "main" }),
      two: actor(probe(memory, { mailbox }), { thread: "side" }),
      three: actor(probe(), { thread: "side" }),
    },
  });
  const started = await startInline(tree, { faults, encodeLocal: false });
  const ref = started.system.ref(ProbeProtocol, "two");
  const send = (...values: readonly number[]): void => {
    for (const value of values) ref.cast("note", value);
  };
  return { ...started, notes: memory.notes, send };
}

/** Until everything sent before has been handled. */
async function settled({ system }: Probed): Promise<void> {
  await system.ref(ProbeProtocol, "two").call("echo", 0, { ...DEADLINE, onRestart: "retry" });
}

const starts = ({ system }: Probed, name: string): number | undefined =>
  system.status().find((status) => status.name === name)?.starts;

describe("a fault of the handler", () => {
  it.each(["crash", "reject", "overflow"])("%s restarts the actor alone", async (kind) => {
    const probed = await start([`${kind}:two.note@n=2`]);
    probed.send(1, 2, 3);
    await settled(probed);
    // The message in whose handling it crashed is tried once more.
    expect(probed.notes).toEqual([1, 2, 3]);
    expect([starts(probed, "two"), starts(probed, "three")]).toEqual([2, 1]);
    const crash = probed.events.find((event) => event.kind === "crashed");
    expect(crash).toMatchObject({ actor: "two", error: { code: "HANDLER_FAILED" } });
  });

  it.each(["kill", "exit=3", "unhandled", "oom", "wedge"])(
    "%s ends the thread with all its actors",
    async (how) => {
      const [kind = "", value] = how.split("=");
      const probed = await start([`${kind}:two.note${value ? `=${value}` : ""}@n=2`]);
      probed.send(1, 2);
      if (kind === "wedge") {
        // Nobody watches a pretended thread; the hang itself is what is shown.
        const call = probed.system.ref(ProbeProtocol, "two").call("echo", 0, { deadlineMs: 30 });
        expect((await rejection(call)).code).toBe("DEADLINE_EXCEEDED");
        probed.system.kill("two");
      }
      await until(() => starts(probed, "two") === 2 && starts(probed, "three") === 2);
      await settled(probed);
      expect(probed.notes).toEqual([1]);
      const exit = probed.events.find((event) => event.kind === "thread-exit");
      expect(exit).toMatchObject({ thread: "side" });
      if (kind !== "wedge") expect(exit).toMatchObject({ cause: expect.stringContaining(kind) });
      const lost = probed.events.filter((event) => event.kind === "dead-letter");
      expect(lost).toMatchObject([{ actor: "two", reason: "crashed-actor", count: 1 }]);
    },
  );

  it("poison crashes the actor at every try until the message is quarantined", async () => {
    const probed = await start(["poison:two.note@n=50"]);
    const all = Array.from({ length: 100 }, (_, index) => index + 1);
    probed.send(...all);
    await until(() => probed.notes.length === 99);
    await settled(probed);
    expect(probed.notes).toEqual(all.filter((value) => value !== 50));
    expect(starts(probed, "two")).toBe(3);
    const letters = probed.events.filter((event) => event.kind === "dead-letter");
    expect(letters).toMatchObject([{ actor: "two", message: "note", reason: "quarantined" }]);
  });

  it("slow delays the handling and keeps the order", async () => {
    const probed = await start(["slow:two.note=20ms@n=1"]);
    const began = performance.now();
    probed.send(1, 2);
    await settled(probed);
    expect(performance.now() - began).toBeGreaterThanOrEqual(19);
    expect(probed.notes).toEqual([1, 2]);
  });

  it("never ends the main thread", async () => {
    const probed = await start(["exit:*.echo@every=1"]);
    expect(await probed.system.ref(ProbeProtocol, "one").call("echo", 5, DEADLINE)).toBe(5);
  });
});

describe("a fault of the sending", () => {
  it("drop loses casts without a word to the sender, but not without a count", async () => {
    const probed = await start(["drop:two.note@every=2"]);
    probed.send(1, 2, 3, 4, 5);
    await settled(probed);
    expect(probed.notes).toEqual([1, 3, 5]);
    const strikes = probed.events.filter((event) => event.kind === "fault");
    expect(strikes).toMatchObject([
      { strikes: 1 },
      { strikes: 2, thread: "main", message: "note" },
    ]);
  });

  it("drop of a call leaves it to its deadline", async () => {
    const { system } = await start(["drop:two.echo@n=1"]);
    const ref = system.ref(ProbeProtocol, "two");
    const began = performance.now();
    expect((await rejection(ref.call("echo", 1, { deadlineMs: 30 }))).code).toBe(
      "DEADLINE_EXCEEDED",
    );
    expect(performance.now() - began).toBeLessThan(400);
    expect(await ref.call("echo", 2, DEADLINE)).toBe(2);
  });

  it("duplicate sends copies; those beyond the mailbox are dead letters", async () => {
    const probed = await start(["duplicate:two.note=10@n=1"], { capacity: 4 });
    probed.send(7);
    await until(() => probed.notes.length > 0);
    await settled(probed);
    await until(() => dead(probed) + probed.notes.length === 11);
    expect(probed.notes).toEqual(probed.notes.map(() => 7));
  });

  it("delay lets later casts overtake", async () => {
    const probed = await start(["delay:two.note=20ms@n=1"]);
    probed.send(1, 2, 3);
    await settled(probed);
    expect(probed.notes).toEqual([2, 3]);
    await until(() => probed.notes.length === 3);
    expect(probed.notes).toEqual([2, 3, 1]);
  });
});

function dead({ events }: Started): number {
  return events.reduce((sum, event) => sum + (event.kind === "dead-letter" ? event.count : 0), 0);
}

describe("injection while the system runs", () => {
  it("begins with the call and ends when it is lifted", async () => {
    const probed = await start([]);
    probed.send(1);
    await settled(probed);
    const fault = probed.system.inject("drop:two.note");
    probed.send(2, 3);
    await settled(probed);
    expect(fault.strikes).toBe(2);
    fault.lift();
    probed.send(4);
    await settled(probed);
    expect(probed.notes).toEqual([1, 4]);
  });

  it("counts over the restarts of thread and actor", async () => {
    const probed = await start([]);
    const fault = probed.system.inject("kill:two.note@every=3,times=2");
    for (let value = 1; value <= 9; value++) {
      probed.send(value);
      await settled(probed);
    }
    await until(() => starts(probed, "two") === 3);
    expect(fault.strikes).toBe(2);
    expect(probed.notes).toEqual([1, 2, 4, 5, 7, 8, 9]);
  });

  it("is written to the log with what it did", async () => {
    const probed = await start(["crash:two.note"]);
    probed.send(1);
    await settled(probed);
    expect(probed.logs.find(({ actor: from }) => from === "faults")).toMatchObject({
      ...{ level: "warn", fault: "crash:two.note", struck: "two", message: "note", strikes: 1 },
    });
  });

  it("tells a flood of strikes in few lines, with the number so far", async () => {
    const probed = await start(["drop:two.note"]);
    probed.send(...Array.from({ length: 5_000 }, (_, index) => index));
    await settled(probed);
    const numbers = probed.events.flatMap((event) => (event.kind === "fault" ? event.strikes : []));
    expect(numbers.at(-1)).toBe(4_096);
    expect(numbers.length).toBeLessThan(40);
  });
});

describe("a fault that cannot be", () => {
  it.each([
    ["crash:nobody", "the actor"],
    ["crash:two.nothing", "the message of crash"],
    ["delay:two.echo=1ms", "the message of delay"],
    ["kill:one", "the actor of kill"],
    ["wedge:one", "the actor of wedge"],
  ])("%s is refused before anything starts, and later too", async (text, path) => {
    expect(await rejection(start([text]))).toMatchObject({
      code: "CONFIG_INVALID",
      details: { path },
    });
    const { system } = await start([]);
    expect(() => system.inject(text)).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
  });

  it("is every one in a system that allows none", async () => {
    const tree = supervisor({ children: { two: actor(probe(), { thread: "side" }) } });
    const { system } = await startInline(tree);
    expect(() => system.inject("crash:two")).toThrow(/option faults/);
  });

  it("is one more than can be kept track of", async () => {
    const { system } = await start([]);
    for (let count = 0; count < 256; count++) system.inject("drop:two.note@n=9");
    expect(() => system.inject("drop:two.note@n=9")).toThrow(/at most 256/);
  });
});
