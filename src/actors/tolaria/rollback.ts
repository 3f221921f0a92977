/**
 * Finds the state to which a training returns: the newest one that is kept in memory, else the
 * newest intact checkpoint on disk, within a deadline. Says which tier it was, how long it took and
 * what went wrong on the way; never hands out a state whose digest does not match.
 */

import type { TelemetryLevelName } from "../../protocols/errors.ts";
import { EsperError } from "../../protocols/errors.ts";
import type { Attributes } from "../../protocols/leyline/telemetry.ts";
import type { Meter } from "../../runtime/actor.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { SnapshotCache } from "../../runtime/durable/snapshot-cache.ts";
import { decodeTraining, readTraining, type TrainingCheckpoint } from "./checkpoint.ts";

export interface RollbackParts {
  readonly cache: SnapshotCache;
  /** The newest checkpoint up to a step; DEADLINE_EXCEEDED when it comes too late. */
  readonly restore: (upToStep: number) => Promise<{ step: number; bytes: Uint8Array } | null>;
  readonly clock: Clock;
  readonly metrics: Meter;
  readonly emit: (name: string, level: TelemetryLevelName, attributes: Attributes) => void;
}

/** What became of an attempt; `hit` says that there is a state. */
export interface RollbackOutcome {
  readonly tier: "fast" | "full";
  readonly hit: boolean;
  readonly latencyMs: number;
  /** What failed in the tier, or in the one before; null when nothing did. */
  readonly error: string | null;
  readonly state: TrainingCheckpoint | null;
}

type Tier = Pick<RollbackOutcome, "tier" | "error" | "state">;

/** Only damage and the disk may fail here; anything else is a bug. */
function textOf(error: unknown): string {
  if (!EsperError.is(error)) throw error;
  return error.code === "DEADLINE_EXCEEDED" ? "deadline_exceeded" : error.message;
}

function failed(reason: "fast_cache" | "full_restore", detail: string, parts: RollbackParts): void {
  parts.metrics.count("tolaria.rollback.failures_total");
  parts.emit("tolaria.rollback.restore_failed", "CRITICAL", { reason, detail });
}

/** Kept states, newest first, until one is intact. */
function fromMemory(step: number, parts: RollbackParts): Tier {
  const { cache } = parts;
  let error: string | null = null;
  for (let at = cache.nearest(step); at !== null; at = cache.nearest(at.step - 1)) {
    try {
      const state = readTraining(cache.take(at.step), `the kept state of step ${at.step}`);
      return { tier: "fast", error, state };
    } catch (cause) {
      error = textOf(cause);
      cache.drop(at.step);
      failed("fast_cache", error, parts);
    }
  }
  return { tier: "fast", error, state: null };
}

async function fromDisk(step: number, parts: RollbackParts): Promise<Tier> {
  try {
    const found = await parts.restore(step);
    if (found === null) {
      parts.metrics.count("tolaria.rollback.no_checkpoint_total");
      return { tier: "full", error: null, state: null };
    }
    const state = decodeTraining(found.bytes, `the checkpoint of step ${found.step}`);
    return { tier: "full", error: null, state };
  } catch (cause) {
    const error = textOf(cause);
    if (error === "deadline_exceeded") {
      parts.metrics.count("tolaria.rollback.deadline_exceeded_total");
    }
    failed("full_restore", error, parts);
    return { tier: "full", error, state: null };
  }
}

/** The last good state up to `step`. Never fails for want of one: see `hit` and `error`. */
export async function findGoodState(step: number, parts: RollbackParts): Promise<RollbackOutcome> {
  const { clock, metrics } = parts;
  const startedMs = clock.monotonicMs();
  const fast = fromMemory(step, parts);
  const { tier, state, error } = fast.state === null ? await fromDisk(step, parts) : fast;
  const latencyMs = clock.monotonicMs() - startedMs;
  const hit = state !== null;
  metrics.observe("tolaria.rollback.restore_latency_ms", latencyMs);
  const total = tier === "fast" ? "fast_hits_total" : "fast_misses_total";
  metrics.count(`tolaria.rollback.${total}`);
  return { tier, hit, latencyMs, error: error ?? fast.error, state };
}

/** How often training may return before it has got past the step that failed. */
export const MAX_ROLLBACKS = 3;

/** Counts the attempts at getting past one step. */
export class RollbackBudget {
  #attempts = 0;
  #failedStep = 0;

  get attempts(): number {
    return this.#attempts;
  }

  /** True when one more attempt is allowed; it then counts. */
  spend(failedStep: number): boolean {
    this.#failedStep = Math.max(this.#failedStep, failedStep);
    if (this.#attempts >= MAX_ROLLBACKS) return false;
    this.#attempts += 1;
    return true;
  }

  /** A good state behind the failed step ends the counting. */
  passed(step: number): void {
    if (step > this.#failedStep) this.#attempts = 0;
  }
}
