/**
 * The supervisors of a system as one pure state machine: it is told what happened and answers with
 * what to do. It holds no timer, reads no clock and starts nothing itself. Restarts are jobs: a
 * job stops its actors right to left, waits its delay, and starts them left to right, one at a
 * time. Jobs never overlap; a failure that touches a job in progress is merged with it.
 */
import { invariant } from "../protocols/errors.ts";
import {
  type Branch,
  buildTree,
  createJob,
  giveUpAt,
  type Job,
  type Leaf,
  leavesOf,
  noteFailure,
  type Standing,
  standingOf,
  type TreeNode,
} from "./supervision-tree.ts";
import type { SupervisorSpec } from "./topology.ts";

/** What the owner of the machine must do, in order. Times in milliseconds. */
export type Effect =
  | { readonly kind: "start"; readonly actor: string; readonly starts: number }
  | {
      readonly kind: "stop";
      readonly actor: string;
      readonly limitMs: number;
      /** True when the actor will not be started again. */
      readonly final: boolean;
    }
  /** Call `waited(job)` after the delay. */
  | { readonly kind: "wait"; readonly job: number; readonly delayMs: number }
  | {
      readonly kind: "restarted";
      readonly actor: string;
      readonly supervisor: string;
      readonly starts: number;
      readonly tookMs: number;
    }
  | { readonly kind: "gave-up"; readonly supervisor: string; readonly actor: string }
  /** The actor is down for good while the system goes on. */
  | { readonly kind: "retired"; readonly actor: string; readonly reason: "stopped" | "crashed" }
  /** Every actor has started for the first time. */
  | { readonly kind: "up" }
  /** Every actor is down for good. */
  | { readonly kind: "ended" };

/** What a supervisor knows of an actor. */
export type ActorState = "running" | "restarting" | "stopped";

export class Supervision {
  readonly #root: Branch;
  readonly #leaves = new Map<string, Leaf>();
  readonly #jobs = new Set<Job>();
  readonly #draw: () => number;
  #nextJob = 1;
  #closing = false;

  /** `draw` is uniform in [0, 1) and gives the jitter of delays. */
  constructor(tree: SupervisorSpec, draw: () => number) {
    this.#root = buildTree(tree);
    for (const leaf of leavesOf(this.#root)) this.#leaves.set(leaf.name, leaf);
    this.#draw = draw;
  }

  /** Starts every actor, left to right. A failure before `up` ends the system. */
  start(atMs: number): Effect[] {
    const effects: Effect[] = [];
    const job = this.#openJob(leavesOf(this.#root), 0, "first");
    this.#advance(job, atMs, effects);
    return effects;
  }

  started(actor: string, atMs: number): Effect[] {
    const leaf = this.#leaf(actor);
    const effects: Effect[] = [];
    if (leaf.status !== "starting") return effects;
    leaf.status = "up";
    leaf.startedAtMs = atMs;
    if (leaf.starts > 1) {
      const tookMs = atMs - (leaf.failedAtMs ?? atMs);
      const supervisor = leaf.parent.name;
      effects.push({ kind: "restarted", actor, supervisor, starts: leaf.starts, tookMs });
    }
    this.#advanceJobOf(leaf, atMs, effects);
    return effects;
  }

  stopped(actor: string, atMs: number): Effect[] {
    const leaf = this.#leaf(actor);
    const effects: Effect[] = [];
    if (leaf.status !== "stopping") return effects;
    this.#takeDown(leaf, effects);
    this.#advanceJobOf(leaf, atMs, effects);
    return effects;
  }

  /**
   * Actors that went down by one cause: a crashed actor, or all actors of a dead thread. Their
   * supervisor counts that cause once. `normal` is an end without failure: `transient` actors are
   * not restarted after it.
   */
  failed(actors: readonly string[], atMs: number, normal = false): Effect[] {
    const effects: Effect[] = [];
    const hit = actors.map((name) => this.#leaf(name)).filter((leaf) => leaf.status !== "down");
    const first = [...this.#jobs].some((job) => job.kind === "first");
    const failing = new Map<Branch, TreeNode[]>();
    for (const leaf of hit) {
      const expected = leaf.status === "stopping";
      leaf.failedAtMs = atMs;
      if (!expected) this.#judgeEnd(leaf, normal);
      this.#takeDown(leaf, effects, expected || normal ? "stopped" : "crashed");
      if (expected || !leaf.wanted || this.#closing) continue;
      failing.set(leaf.parent, [...(failing.get(leaf.parent) ?? []), leaf]);
    }
    if (first && failing.size > 0) return [...effects, ...this.shutdown(atMs)];
    for (const [branch, nodes] of failing) this.#handle(branch, nodes, atMs, effects);
    for (const leaf of hit) this.#advanceJobOf(leaf, atMs, effects);
    return effects;
  }

  /** The delay of a job has passed. */
  waited(job: number, atMs: number): Effect[] {
    const effects: Effect[] = [];
    const waiting = [...this.#jobs].find(({ id, phase }) => id === job && phase === "waiting");
    if (waiting === undefined) return effects;
    waiting.phase = "starting";
    this.#advance(waiting, atMs, effects);
    return effects;
  }

  /** Stops every actor, right to left, and restarts none. Idempotent. */
  shutdown(atMs: number): Effect[] {
    const effects: Effect[] = [];
    if (this.#closing) return effects;
    this.#closing = true;
    for (const leaf of this.#leaves.values()) {
      leaf.wanted = false;
      leaf.mustStop = true;
    }
    this.#jobs.clear();
    this.#advance(this.#openJob([...this.#leaves.values()], 0, "last"), atMs, effects);
    return effects;
  }

  state(actor: string): ActorState {
    const leaf = this.#leaf(actor);
    if (leaf.status === "up") return "running";
    return leaf.wanted ? "restarting" : "stopped";
  }

  /** True between the `start` effect and the actor's answer, unless the start was called off. */
  isStarting(actor: string): boolean {
    return this.#leaf(actor).status === "starting";
  }

  starts(actor: string): number {
    return this.#leaf(actor).starts;
  }

  /** How often what failed lately, over the whole tree. */
  standing(atMs: number): Standing {
    return standingOf(this.#root, atMs);
  }

  #judgeEnd(leaf: Leaf, normal: boolean): void {
    const { restart } = leaf;
    if (restart === "temporary" || (restart === "transient" && normal)) leaf.wanted = false;
  }

  #takeDown(leaf: Leaf, effects: Effect[], reason: "stopped" | "crashed" = "stopped"): void {
    leaf.status = "down";
    leaf.mustStop = false;
    const { name: actor } = leaf;
    if (!leaf.wanted && !this.#closing) effects.push({ kind: "retired", actor, reason });
  }

  /** One cause took `nodes` of `branch` down: restart by its strategy, or give up. */
  #handle(branch: Branch, nodes: TreeNode[], atMs: number, effects: Effect[]): void {
    const verdict = noteFailure(branch, nodes, atMs, this.#draw);
    if (verdict.within) {
      this.#restart(verdict.affected, verdict.delayMs, atMs, effects);
      return;
    }
    const actor = leavesOf(nodes[0] as TreeNode)[0]?.name ?? branch.name;
    effects.push({ kind: "gave-up", supervisor: branch.name, actor });
    giveUpAt(branch);
    if (branch.parent === null) effects.push(...this.shutdown(atMs));
    else if (!this.#closing) this.#handle(branch.parent, [branch], atMs, effects);
  }

  #restart(affected: readonly Leaf[], delayMs: number, atMs: number, effects: Effect[]): void {
    for (const leaf of affected) {
      if (leaf.status === "down") continue;
      leaf.mustStop = true;
      leaf.failedAtMs = atMs;
      // A sibling's restart ends a temporary actor: it is never started twice.
      if (leaf.restart === "temporary") leaf.wanted = false;
    }
    const merged = new Set(affected);
    for (const job of this.#jobs) {
      if (!job.leaves.some((leaf) => merged.has(leaf))) continue;
      for (const leaf of job.leaves) merged.add(leaf);
      this.#jobs.delete(job);
    }
    const ordered = [...merged].sort((left, right) => left.order - right.order);
    this.#advance(this.#openJob(ordered, delayMs, "restart"), atMs, effects);
  }

  #openJob(leaves: readonly Leaf[], delayMs: number, kind: Job["kind"]): Job {
    const job = createJob(this.#nextJob++, leaves, delayMs, kind);
    this.#jobs.add(job);
    return job;
  }

  #advanceJobOf(leaf: Leaf, atMs: number, effects: Effect[]): void {
    for (const job of this.#jobs) {
      if (job.leaves.includes(leaf)) this.#advance(job, atMs, effects);
    }
  }

  #advance(job: Job, atMs: number, effects: Effect[]): void {
    if (job.phase === "stopping" && this.#stopNext(job, effects)) {
      if (job.kind === "last") this.#finish(job, effects);
      else this.#delay(job, effects);
    }
    if (job.phase === "starting") this.#startNext(job, atMs, effects);
  }

  /** True when nothing is left to stop. */
  #stopNext(job: Job, effects: Effect[]): boolean {
    if (job.leaves.some(({ status }) => status === "stopping")) return false;
    const next = job.leaves.findLast((leaf) => leaf.mustStop && leaf.status !== "down");
    if (next === undefined) return true;
    next.status = "stopping";
    const { name: actor, shutdownMs: limitMs, wanted } = next;
    effects.push({ kind: "stop", actor, limitMs, final: !wanted });
    return false;
  }

  #delay(job: Job, effects: Effect[]): void {
    if (job.delayMs === 0) {
      job.phase = "starting";
      return;
    }
    job.phase = "waiting";
    effects.push({ kind: "wait", job: job.id, delayMs: job.delayMs });
  }

  #startNext(job: Job, atMs: number, effects: Effect[]): void {
    if (job.leaves.some(({ status }) => status === "starting")) return;
    const next = job.leaves.find(({ status, wanted }) => status === "down" && wanted);
    if (next === undefined) {
      this.#finish(job, effects);
      return;
    }
    next.status = "starting";
    next.starts += 1;
    next.startedAtMs = atMs;
    effects.push({ kind: "start", actor: next.name, starts: next.starts });
  }

  #finish(job: Job, effects: Effect[]): void {
    if (!this.#jobs.delete(job)) return;
    if (job.kind === "first") effects.push({ kind: "up" });
    if (job.kind === "last") effects.push({ kind: "ended" });
  }

  #leaf(actor: string): Leaf {
    const leaf = this.#leaves.get(actor);
    invariant(leaf !== undefined, `supervision knows the actor ${actor}`);
    return leaf;
  }
}
