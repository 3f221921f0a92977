import { describe, expect, it } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import { explore, type Scenario, simulate } from "../../../src/runtime/testkit/explore.ts";
import { TestKit } from "../../../src/runtime/testkit/test-kit.ts";
import { actor, supervisor } from "../../../src/runtime/topology.ts";
import { createMemory, ProbeProtocol, probe } from "../../fixtures/actors/probe.ts";

const SOON = { deadlineMs: 1_000 };

function tree(memory = createMemory()) {
  return supervisor({
    children: {
      one: actor(probe(memory), { thread: "left" }),
      two: actor(probe(), { thread: "right" }),
    },
  });
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof EsperError) return error.code;
    throw error;
  }
  return "none";
}

/** Two threads at work at once, so that there is something to interleave. */
async function digestOf(seed: number): Promise<string> {
  const kit = await TestKit.start(tree(), { seed });
  const calls = ["one", "two"].flatMap((name) =>
    [1, 2, 3].map((value) => kit.ref(ProbeProtocol, name).call("echo", value, SOON)),
  );
  await kit.settle(Promise.all(calls));
  await kit.stop();
  return `${kit.trace.length} ${kit.trace.digest}`;
}

describe("a seed", () => {
  it("is one exact run, and another seed is another", async () => {
    const digests = await Promise.all([1, 2, 3, 4].map(digestOf));
    const again: string[] = [];
    for (const seed of [1, 2, 3, 4]) again.push(await digestOf(seed));
    expect(again).toEqual(digests);
    expect(new Set(digests).size).toBe(4);
  });

  it("with no chaos takes the oldest step first, whatever the seed is", async () => {
    const waits: number[] = [];
    const scenario: Scenario = {
      name: "calm",
      run: async (start) => {
        const kit = await start(tree());
        await kit.settle(kit.ref(ProbeProtocol, "one").call("echo", 1, SOON));
        waits.push(kit.trace.length);
      },
    };
    const [one, two] = [await simulate(scenario, 1, 0), await simulate(scenario, 2, 0)];
    expect(one.digest).toBe(two.digest);
    expect(waits).toHaveLength(2);
  });
});

describe("virtual time", () => {
  it("passes when all work is done, so an hour takes no time", async () => {
    const kit = await TestKit.start(tree(), { seed: 5 });
    const began = kit.clock.monotonicMs();
    const options = { deadlineMs: 2 * 3_600_000 };
    const slow = kit.ref(ProbeProtocol, "one").call("slow", { delayMs: 3_600_000 }, options);
    expect(await kit.settle(slow, 4 * 3_600_000)).toEqual({ cancelled: false });
    const tookMs = kit.clock.monotonicMs() - began;
    expect(tookMs).toBeGreaterThanOrEqual(3_600_000);
    expect(tookMs).toBeLessThan(3_600_100);
    await kit.stop();
  });

  it("passes by exactly what is asked for", async () => {
    const memory = createMemory();
    const kit = await TestKit.start(tree(memory), { seed: 6 });
    kit.ref(ProbeProtocol, "one").cast("timer", { throws: false });
    const began = kit.clock.monotonicMs();
    await kit.advance(0.5);
    expect(memory.notes).toEqual([]);
    await kit.advance(20);
    expect(memory.notes).toEqual([-1]);
    expect(kit.clock.monotonicMs() - began).toBe(20.5);
    await kit.stop();
  });
});

describe("a run that comes to nothing", () => {
  it("says that nothing is left to happen", async () => {
    const kit = await TestKit.start(tree(), { seed: 7 });
    const never = new Promise<void>(() => {});
    expect(await codeOf(kit.settle(never))).toBe("SIMULATION_FAILED");
    await kit.stop();
  });

  it("ends after the steps it may take", async () => {
    const kit = await TestKit.start(tree(), { seed: 8, maxSteps: 60 });
    const ref = kit.ref(ProbeProtocol, "one");
    const forever = async (): Promise<void> => {
      for (;;) await ref.call("echo", 1, SOON);
    };
    await expect(kit.settle(forever())).rejects.toThrow(/not ended after 60 steps/);
  });

  it("fails with what a check after every step throws", async () => {
    const kit = await TestKit.start(tree(), { seed: 9 });
    kit.always(() => {
      if (kit.status("two").processed > 1) throw new RangeError("twice is once too often");
    });
    const ref = kit.ref(ProbeProtocol, "two");
    await kit.settle(ref.call("echo", 1, SOON));
    await expect(kit.settle(ref.call("echo", 2, SOON))).rejects.toThrow(RangeError);
  });
});

describe("disturbances", () => {
  it("kill a thread between two steps: its calls fail, it is back", async () => {
    const kit = await TestKit.start(tree(), { seed: 10 });
    const slow = kit.ref(ProbeProtocol, "one").call("slow", { delayMs: 500 }, SOON);
    slow.catch(() => {});
    await kit.advance(5);
    kit.kill("one");
    expect(await codeOf(kit.settle(slow))).toBe("ACTOR_RESTARTING");
    await kit.run(() => kit.status("one").starts === 2 && kit.status("one").state === "running");
    await kit.stop();
  });

  it("crash an actor some time, once", async () => {
    const kit = await TestKit.start(tree(), { seed: 11 });
    kit.sometime("crash", () => kit.crash("two"), 20);
    await kit.advance(1_000);
    expect(kit.status("two").restarts).toBe(1);
    await kit.stop();
  });

  it("hold a thread back until it is let go", async () => {
    const kit = await TestKit.start(tree(), { seed: 12 });
    const free = kit.hold(({ thread }) => thread === "right");
    const call = kit.ref(ProbeProtocol, "two").call("echo", 1, { deadlineMs: 50 });
    expect(await codeOf(kit.settle(call))).toBe("DEADLINE_EXCEEDED");
    free();
    expect(await kit.settle(kit.ref(ProbeProtocol, "two").call("echo", 2, SOON))).toBe(2);
    await kit.stop();
  });

  it("drop a doorbell, and what it would have woken sleeps on", async () => {
    const kit = await TestKit.start(tree(), { seed: 13 });
    await kit.advance(10);
    kit.dropBells(({ thread }) => thread === "right");
    const call = kit.ref(ProbeProtocol, "two").call("echo", 1, { deadlineMs: 50 });
    expect(await codeOf(kit.settle(call))).toBe("DEADLINE_EXCEEDED");
    expect(kit.trace.steps.some(({ what }) => what === "bell main > right (dropped)")).toBe(true);
  });
});

describe("the explorer", () => {
  const fragile: Scenario = {
    name: "fragile",
    run: async (start) => {
      const kit = await start(tree());
      const order: string[] = [];
      const names = ["one", "two"];
      const calls = names.map((name) =>
        kit
          .ref(ProbeProtocol, name)
          .call("echo", 1, SOON)
          .then(() => order.push(name)),
      );
      await kit.settle(Promise.all(calls));
      if (order.join() !== "one,two") throw new Error(`they came as ${order.join()}`);
    },
  };

  it("tells one command that repeats the failure, with its trace", async () => {
    const error = await explore(fragile, { seeds: 50, replay: "npm run sim" }).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    if (!(error instanceof EsperError)) throw new Error("the failure was not found");
    const command = /^ {2}npm run sim --seed (\d+) --chaos (\d+)$/m.exec(error.message);
    const repeated = await simulate(fragile, Number(command?.[1]), Number(command?.[2]));
    expect(repeated.failure).toEqual(new Error("they came as two,one"));
    expect(error.message).toContain("bell main > right");
    expect(error.details).toMatchObject({ scenario: "fragile", seed: repeated.seed });
  });

  it("counts its runs when nothing breaks", async () => {
    const sound: Scenario = {
      name: "sound",
      run: async (start) => {
        const kit = await start(tree());
        await kit.settle(kit.ref(ProbeProtocol, "one").call("echo", 1, SOON));
      },
    };
    const { runs, steps } = await explore(sound, { seeds: [3, 9] });
    expect(runs).toBe(2);
    expect(steps).toBeGreaterThan(20);
  });
});
