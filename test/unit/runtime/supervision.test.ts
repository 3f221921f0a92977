import { describe, expect, it } from "vitest";
import type { ChildPolicy } from "../../../src/runtime/actor.ts";
import { RestartWindow, restartDelayMs } from "../../../src/runtime/restart-window.ts";
import { type Effect, Supervision } from "../../../src/runtime/supervision.ts";
import { actor, type Strategy, supervisor } from "../../../src/runtime/topology.ts";
import { probe } from "../../fixtures/actors/probe.ts";

const leaf = (supervision: Partial<ChildPolicy> = {}) =>
  actor(probe(undefined, { supervision: { intensity: 100, ...supervision } }), { thread: "main" });

/** Carries out every effect at once and without failure, noting it in order. */
class Bench {
  readonly machine: Supervision;
  readonly trace: string[] = [];
  readonly live = new Set<string>();
  readonly delays: number[] = [];
  readonly failStarts = new Set<string>();
  nowMs = 0;

  constructor(tree: ReturnType<typeof supervisor>) {
    this.machine = new Supervision(tree, () => 0.5);
  }

  run(effects: readonly Effect[]): void {
    for (const effect of effects) this.#carryOut(effect);
  }

  start(): void {
    this.run(this.machine.start(this.nowMs));
    this.trace.length = 0;
  }

  fail(names: string[], normal = false): void {
    for (const name of names) this.live.delete(name);
    this.run(this.machine.failed(names, this.nowMs, normal));
  }

  #carryOut(effect: Effect): void {
    switch (effect.kind) {
      case "start":
        this.trace.push(`+${effect.actor}`);
        expect(this.live.has(effect.actor)).toBe(false);
        if (this.failStarts.delete(effect.actor)) {
          this.run(this.machine.failed([effect.actor], this.nowMs));
          return;
        }
        this.live.add(effect.actor);
        this.run(this.machine.started(effect.actor, this.nowMs));
        return;
      case "stop":
        this.trace.push(`-${effect.actor}${effect.final ? "!" : ""}`);
        expect(this.live.delete(effect.actor)).toBe(true);
        this.run(this.machine.stopped(effect.actor, this.nowMs));
        return;
      case "wait":
        this.delays.push(effect.delayMs);
        this.nowMs += effect.delayMs;
        this.run(this.machine.waited(effect.job, this.nowMs));
        return;
      case "restarted":
        return;
      case "gave-up":
        this.trace.push(`gave-up ${effect.supervisor}`);
        return;
      case "retired":
        this.trace.push(`retired ${effect.actor}`);
        return;
      default:
        this.trace.push(effect.kind);
    }
  }
}

function flat(strategy: Strategy, policies: Record<string, Partial<ChildPolicy>> = {}) {
  const children = Object.fromEntries(
    ["a", "b", "c", "d"].map((name) => [name, leaf(policies[name])]),
  );
  return new Bench(supervisor({ strategy, intensity: 100, children }));
}

describe("start and stop", () => {
  it("starts left to right and says when all are up", () => {
    const bench = flat("one_for_one");
    bench.run(bench.machine.start(0));
    expect(bench.trace).toEqual(["+a", "+b", "+c", "+d", "up"]);
  });

  it("stops right to left, for good", () => {
    const bench = flat("one_for_one");
    bench.start();
    bench.run(bench.machine.shutdown(1));
    expect(bench.trace).toEqual(["-d!", "-c!", "-b!", "-a!", "ended"]);
    expect(bench.machine.shutdown(2)).toEqual([]);
  });

  it("ends when an actor fails before all are up", () => {
    const bench = flat("one_for_one");
    bench.failStarts.add("c");
    bench.run(bench.machine.start(0));
    expect(bench.trace).toEqual(["+a", "+b", "+c", "-b!", "-a!", "ended"]);
  });

  it("starts and stops one at a time", () => {
    const { machine } = flat("one_for_all");
    expect(machine.start(0)).toEqual([{ kind: "start", actor: "a", starts: 1 }]);
    expect(machine.started("a", 1)).toEqual([{ kind: "start", actor: "b", starts: 1 }]);
    const effects = machine.shutdown(2);
    expect(effects).toMatchObject([{ kind: "stop", actor: "b", final: true }]);
    // The answer to the start that was called off changes nothing.
    expect(machine.started("b", 3)).toEqual([]);
    expect(machine.stopped("b", 4)).toMatchObject([{ kind: "stop", actor: "a" }]);
  });
});

describe("strategies", () => {
  it.each([
    ["one_for_one", ["+b"]],
    ["one_for_all", ["-d", "-c", "-a", "+a", "+b", "+c", "+d"]],
    ["rest_for_one", ["-d", "-c", "+b", "+c", "+d"]],
  ] as [Strategy, string[]][])("%s restarts what it must, in order", (strategy, expected) => {
    const bench = flat(strategy);
    bench.start();
    bench.fail(["b"]);
    expect(bench.trace).toEqual(expected);
    expect([...bench.live].sort()).toEqual(["a", "b", "c", "d"]);
  });

  it("counts a thread with several actors as one failure", () => {
    const children = { a: leaf(), b: leaf(), c: leaf() };
    const bench = new Bench(supervisor({ intensity: 1, children }));
    bench.start();
    bench.fail(["a", "b", "c"]);
    expect(bench.trace).toEqual(["+a", "+b", "+c"]);
    bench.fail(["a"]);
    expect(bench.trace).toContain("gave-up root");
  });

  it("merges a failure with the restart in progress", () => {
    const bench = flat("one_for_all");
    bench.start();
    bench.failStarts.add("b");
    bench.fail(["c"]);
    const restart = ["+a", "+b", "-a", "+a", "+b", "+c", "+d"];
    expect(bench.trace).toEqual(["-d", "-b", "-a", ...restart]);
  });
});

describe("kinds of children", () => {
  it.each([
    ["permanent", false, true],
    ["permanent", true, true],
    ["transient", false, true],
    ["transient", true, false],
    ["temporary", false, false],
    ["temporary", true, false],
  ] as const)("a %s child, ended normally: %s, is restarted: %s", (restart, normal, back) => {
    const bench = flat("one_for_one", { b: { restart } });
    bench.start();
    bench.fail(["b"], normal);
    expect(bench.trace).toEqual([back ? "+b" : "retired b"]);
    expect(bench.machine.state("b")).toBe(back ? "running" : "stopped");
  });

  it("a temporary child is not started again with its siblings", () => {
    const bench = flat("one_for_all", { c: { restart: "temporary" } });
    bench.start();
    bench.fail(["a"]);
    expect(bench.trace).toEqual(["-d", "-c!", "retired c", "-b", "+a", "+b", "+d"]);
  });
});

describe("intensity and back-off", () => {
  it("allows exactly `intensity` failures within the period", () => {
    const window = new RestartWindow(3, 5_000);
    expect([0, 1, 2, 3].map((atMs) => window.record(atMs))).toEqual([true, true, true, false]);
    const spread = new RestartWindow(3, 5_000);
    expect([0, 2_000, 4_000, 6_000, 8_000].every((atMs) => spread.record(atMs))).toBe(true);
  });

  it("waits 0, then 100 ms doubling up to 5 s, each within 20 %", () => {
    const middle = [0, 1, 2, 3, 6, 7, 30].map((streak) => restartDelayMs(streak, 0.5));
    expect(middle).toEqual([0, 100, 200, 400, 3_200, 5_000, 5_000]);
    expect(restartDelayMs(1, 0)).toBeCloseTo(80);
    expect(restartDelayMs(1, 0.999999)).toBeCloseTo(120, 1);
  });

  it("grows the delay while failures follow each other, and starts over after health", () => {
    const bench = flat("one_for_one");
    bench.start();
    for (let crash = 0; crash < 4; crash++) bench.fail(["a"]);
    expect(bench.delays).toEqual([100, 200, 400]);
    bench.nowMs += 5_000;
    bench.fail(["a"]);
    bench.fail(["a"]);
    expect(bench.delays).toEqual([100, 200, 400, 100]);
  });

  it("gives up by the child's own intensity as well", () => {
    const bench = flat("one_for_one", { b: { intensity: 1 } });
    bench.start();
    bench.fail(["b"]);
    bench.fail(["b"]);
    expect(bench.trace).toEqual(["+b", "gave-up root", "-d!", "-c!", "-a!", "ended"]);
  });

  it("keeps what is stopped while it waits out the delay", () => {
    const { machine } = flat("rest_for_one");
    for (const name of ["a", "b", "c", "d"]) {
      if (name === "a") machine.start(0);
      machine.started(name, 0);
    }
    machine.failed(["d"], 1);
    machine.started("d", 1);
    const [wait] = machine.failed(["d"], 2);
    expect(wait).toMatchObject({ kind: "wait", delayMs: 100 });
    expect(machine.state("d")).toBe("restarting");
    expect(machine.waited(999, 3)).toEqual([]);
    const job = wait?.kind === "wait" ? wait.job : 0;
    expect(machine.waited(job, 102)).toMatchObject([{ kind: "start", actor: "d", starts: 3 }]);
  });
});

describe("escalation", () => {
  function nested() {
    const inner = supervisor({ intensity: 0, children: { b: leaf(), c: leaf() } });
    return supervisor({
      ...{ strategy: "rest_for_one", intensity: 1 },
      children: { a: leaf(), inner, d: leaf() },
    });
  }

  it("restarts the supervisor that gave up by its parent's strategy", () => {
    const bench = new Bench(nested());
    bench.start();
    bench.fail(["b"]);
    expect(bench.trace).toEqual(["gave-up root/inner", "-d", "-c", "+b", "+c", "+d"]);
  });

  it("gives up level by level, and the system ends once", () => {
    const bench = new Bench(nested());
    bench.start();
    bench.fail(["b"]);
    bench.trace.length = 0;
    bench.fail(["c"]);
    expect(bench.trace).toEqual([
      ...["gave-up root/inner", "gave-up root", "-d!", "-b!", "-a!", "ended"],
    ]);
  });
});

const STRATEGIES: Strategy[] = ["one_for_one", "one_for_all", "rest_for_one"];
const NAMES = ["a", "b", "c", "d"];

/** Two failures, a start that fails or none, and the patience of the inner supervisor. */
const COURSES = NAMES.flatMap((first) =>
  NAMES.flatMap((second) =>
    [null, ...NAMES].flatMap((failing) =>
      [0, 1, 5].map((intensity) => ({ first, second, failing, intensity })),
    ),
  ),
);

/** Every tree of two supervisors over four actors with every strategy, and every course. */
describe("exhaustively", () => {
  const trees = STRATEGIES.flatMap((outer) => STRATEGIES.map((inner) => ({ outer, inner })));

  it.each(trees)("$outer over $inner ends with every actor up, or all down", (tree) => {
    for (const { first, second, failing, intensity } of COURSES) {
      const group = supervisor({
        ...{ strategy: tree.inner, intensity },
        children: { b: leaf(), c: leaf() },
      });
      const children = { a: leaf(), group, d: leaf() };
      const bench = new Bench(supervisor({ strategy: tree.outer, intensity: 2, children }));
      bench.start();
      if (failing !== null) bench.failStarts.add(failing);
      bench.fail([first]);
      if (!bench.trace.includes("ended")) bench.fail([second]);
      const ended = bench.trace.includes("ended");
      expect(bench.live.size).toBe(ended ? 0 : 4);
      expect(bench.trace.filter((line) => line === "ended").length).toBe(ended ? 1 : 0);
      expect(bench.trace.includes("gave-up root")).toBe(ended);
    }
  });
});
