/** The supervision machine on every small tree, and with failures at every moment of a restart. */
import { describe, expect, it } from "vitest";
import type { RestartKind } from "../../../src/runtime/actor.ts";
import { type Effect, Supervision } from "../../../src/runtime/supervision.ts";
import {
  expectedTrace,
  failures,
  type Named,
  name,
  STRATEGIES,
  trees,
} from "./supervision-trees.ts";

type Doing = "down" | "starting" | "up" | "stopping";

/** Threads that do what they are told, later; checks every order against what they are doing. */
class World {
  readonly trace: string[] = [];
  readonly doing = new Map<string, Doing>();
  readonly waiting: number[] = [];
  readonly retired = new Set<string>();
  readonly finals = new Set<string>();
  readonly #machine: Supervision;
  ended = 0;
  nowMs = 0;

  constructor(tree: Named) {
    this.#machine = new Supervision(tree.spec, () => 0.5);
    for (const leaf of tree.kinds.keys()) this.doing.set(leaf, "down");
    this.#take(this.#machine.start(0));
    this.settle();
    this.trace.length = 0;
    this.nowMs = 100_000;
  }

  /** What can happen next, besides failures. */
  get due(): readonly string[] {
    const orders = [...this.doing].filter(([, doing]) => doing === "starting");
    const stops = [...this.doing].filter(([, doing]) => doing === "stopping");
    return [...orders, ...stops].map(([leaf]) => leaf).concat(this.waiting.map(String));
  }

  settle(): void {
    for (let step = 0; this.due.length > 0; step++) {
      if (step > 200) throw new Error(`no end: ${this.trace.join(" ")}`);
      this.happen(this.due[0] as string);
    }
  }

  /** Carries out the order the actor was given, or lets a delay pass. */
  happen(what: string): void {
    const doing = this.doing.get(what);
    if (doing === undefined) {
      this.waiting.splice(this.waiting.indexOf(Number(what)), 1);
      this.#take(this.#machine.waited(Number(what), this.nowMs));
      return;
    }
    this.doing.set(what, doing === "starting" ? "up" : "down");
    if (doing === "starting") this.#take(this.#machine.started(what, this.nowMs));
    else this.#take(this.#machine.stopped(what, this.nowMs));
  }

  fail(leaves: readonly string[], normal = false): void {
    for (const leaf of leaves) this.doing.set(leaf, "down");
    this.#take(this.#machine.failed(leaves, this.nowMs, normal));
  }

  stop(): void {
    this.#take(this.#machine.shutdown(this.nowMs));
  }

  isThere(leaf: string): boolean {
    return this.doing.get(leaf) !== "down";
  }

  state(leaf: string): string {
    return this.#machine.state(leaf);
  }

  #take(effects: readonly Effect[]): void {
    for (const effect of effects) this.#order(effect);
  }

  #order(effect: Effect): void {
    if (this.ended > 0) throw new Error(`an order after the end: ${effect.kind}`);
    switch (effect.kind) {
      case "start":
        this.trace.push(`+${effect.actor}`);
        this.#expect(effect.actor, ["down"]);
        if (this.retired.has(effect.actor)) throw new Error(`${effect.actor} was retired`);
        this.doing.set(effect.actor, "starting");
        return;
      case "stop":
        this.trace.push(`-${effect.actor}${effect.final ? "!" : ""}`);
        this.#expect(effect.actor, ["up", "starting"]);
        if (effect.final) this.finals.add(effect.actor);
        this.doing.set(effect.actor, "stopping");
        return;
      case "wait":
        this.waiting.push(effect.job);
        return;
      case "gave-up":
        this.trace.push("gave-up");
        return;
      case "retired":
        this.trace.push(`retired ${effect.actor}`);
        this.retired.add(effect.actor);
        return;
      case "ended":
        this.trace.push("ended");
        this.ended += 1;
    }
  }

  #expect(leaf: string, allowed: readonly Doing[]): void {
    const doing = this.doing.get(leaf) ?? "down";
    if (!allowed.includes(doing)) throw new Error(`${this.trace.join(" ")}: it is ${doing}`);
  }
}

describe("one failure in every tree of up to three actors, three deep", () => {
  it.each(STRATEGIES)("is answered as the strategy %s at the root says", (strategy) => {
    let courses = 0;
    for (const tree of trees(3, 3)) {
      if (tree.strategy !== strategy) continue;
      const named = name(tree);
      for (const { leaf, normal } of failures(named)) {
        const world = new World(named);
        world.fail([leaf], normal);
        world.settle();
        const expected = expectedTrace(named, leaf, normal);
        if (world.trace.join(" ") !== expected.join(" ")) {
          expect({ tree, leaf, normal, trace: world.trace }).toEqual(expected);
        }
        courses += 1;
      }
    }
    expect(courses).toBeGreaterThan(5_000);
  });
});

/** One way in which events can follow each other, told by the numbers of the choices made. */
class Course {
  readonly world: World;
  readonly options: number[] = [];
  readonly #causes: readonly (readonly string[])[];
  readonly #kinds: Named["kinds"];
  #left: number;
  #stopped = false;

  constructor(named: Named, failures: number) {
    const leaves = [...named.kinds.keys()];
    // Each actor alone, a thread with two of them, and a stop of the whole.
    this.#causes = [...leaves.map((leaf) => [leaf]), leaves.slice(0, 2), []];
    this.#kinds = named.kinds;
    this.#left = failures;
    this.world = new World(named);
  }

  play(choices: readonly number[]): void {
    for (let step = 0; step < 80; step++) {
      const { due } = this.world;
      const causes = this.#left > 0 && this.world.ended === 0 ? this.#causes : [];
      if (due.length + causes.length === 0) return;
      this.options.push(due.length + causes.length);
      const choice = choices[step] ?? 0;
      if (choice < due.length) this.world.happen(due[choice] as string);
      else this.#disturb(causes[choice - due.length] ?? []);
    }
    throw new Error(`no end: ${this.world.trace.join(" ")}`);
  }

  /** What holds when nothing is under way, whatever failed before. */
  expectSettled(): void {
    const { world } = this;
    for (const [leaf, kind] of this.#kinds) {
      const fine = world.ended > 0 ? this.#isOver(leaf) : this.#isWell(leaf, kind);
      if (!fine) expect({ trace: world.trace, leaf, kind }).toBe("settled");
    }
    const mayEnd = this.#stopped || world.trace.includes("gave-up");
    if (world.ended > 1 || (world.ended === 1 && !mayEnd) || (this.#stopped && !world.ended)) {
      expect(world.trace).toBe("ended once");
    }
  }

  #isOver(leaf: string): boolean {
    return this.world.doing.get(leaf) === "down" && this.world.state(leaf) === "stopped";
  }

  #isWell(leaf: string, kind: RestartKind): boolean {
    const retired = this.world.retired.has(leaf);
    if ((this.world.doing.get(leaf) === "up") === retired) return false;
    return !retired || kind === "temporary";
  }

  #disturb(cause: readonly string[]): void {
    this.#left -= 1;
    if (cause.length > 0) this.world.fail(cause.filter((leaf) => this.world.isThere(leaf)));
    else {
      this.#stopped = true;
      this.world.stop();
    }
  }
}

/** The choices of the next course, given the last and its options; null when it was the last. */
function following(choices: readonly number[], options: readonly number[]): number[] | null {
  for (let step = options.length - 1; step >= 0; step--) {
    const tried = (choices[step] ?? 0) + 1;
    if (tried < (options[step] as number)) {
      return [...options.slice(0, step).map((_, before) => choices[before] ?? 0), tried];
    }
  }
  return null;
}

function playAll(named: Named, failures: number): number {
  let courses = 0;
  for (let choices: number[] | null = []; choices !== null; courses++) {
    const course = new Course(named, failures);
    course.play(choices);
    course.expectSettled();
    choices = following(choices, course.options);
  }
  return courses;
}

describe("failures and a stop at any moments of a restart", () => {
  it.each(STRATEGIES)("under %s end with every actor up or gone, or with the end", (outer) => {
    let courses = 0;
    for (const inner of STRATEGIES) {
      for (const kind of ["permanent", "temporary"] as const) {
        for (const patient of [true, false]) {
          const group = { strategy: inner, patient, children: ["permanent", kind] } as const;
          const tree = { strategy: outer, patient: true, children: [group, "permanent"] } as const;
          courses += playAll(name(tree), inner === outer && patient ? 3 : 2);
        }
      }
    }
    expect(courses).toBeGreaterThan(3_000);
  });
});
