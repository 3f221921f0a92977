/** What may be set for one thread beside the tree: checked and completed before any starts. */
import { EsperError } from "../../protocols/errors.ts";
import { MAX_DELAY_MS } from "../clock.ts";
import { MAX_SPARES, type ThreadOptions } from "../topology.ts";
import { MAIN } from "./plan.ts";

/** Everything the runtime must know of one thread. Times in milliseconds. */
export interface ThreadPolicy {
  readonly stuckMs: number;
  readonly graceMs: number;
  /** Null: the platform's own limit. */
  readonly heapLimitMb: number | null;
  readonly spare: boolean;
}

const STUCK_MS = 10_000;
const GRACE_MS = 250;
/** The watchdog looks every 10 ms; less than this it could not tell from chance. */
const LEAST_STUCK_MS = 50;
const LEAST_HEAP_MB = 16;
const MOST_HEAP_MB = 65_536;

/** A policy for every thread of the plan but `main`. @throws {CONFIG_INVALID} */
export function threadPolicies(
  threads: readonly string[],
  given: Readonly<Record<string, ThreadOptions>>,
  heapLimitMb: number | null,
): ReadonlyMap<string, ThreadPolicy> {
  for (const name of Object.keys(given)) refuseUnknown(name, threads);
  return new Map(
    threads.map((thread) => {
      const options = Object.hasOwn(given, thread) ? given[thread] : undefined;
      return [thread, complete(thread, options ?? {}, heapLimitMb)];
    }),
  );
}

/** @throws {CONFIG_INVALID} */
export function checkSpares(spares: number): number {
  if (Number.isInteger(spares) && spares >= 0 && spares <= MAX_SPARES) return spares;
  throw invalid("spares", spares, `a whole number from 0 to ${MAX_SPARES}`);
}

function complete(
  thread: string,
  options: ThreadOptions,
  heapLimitMb: number | null,
): ThreadPolicy {
  const stuckMs = options.stuckMs ?? STUCK_MS;
  // A thread that may be held only briefly may not take long to let go either.
  const graceMs = options.graceMs ?? Math.min(GRACE_MS, stuckMs / 4);
  const limitMb = options.heapLimitMb ?? heapLimitMb;
  within(`threads.${thread}.stuckMs`, stuckMs, LEAST_STUCK_MS, MAX_DELAY_MS);
  within(`threads.${thread}.graceMs`, graceMs, 0, MAX_DELAY_MS);
  if (limitMb !== null) {
    within(`threads.${thread}.heapLimitMb`, limitMb, LEAST_HEAP_MB, MOST_HEAP_MB);
  }
  return { stuckMs, graceMs, heapLimitMb: limitMb, spare: options.spare ?? true };
}

function within(path: string, value: number, least: number, most: number): void {
  if (value >= least && value <= most) return;
  throw invalid(path, value, `a number from ${least} to ${most}`);
}

function refuseUnknown(name: string, threads: readonly string[]): void {
  if (threads.includes(name)) return;
  const path = `threads.${name}`;
  if (name === MAIN) {
    const text = `topology ${path}: the main thread is watched by nobody and never replaced`;
    throw new EsperError("CONFIG_INVALID", text, { path, threads });
  }
  const known = threads.join(", ") || "none but main";
  const text = `topology ${path}: no actor is placed on this thread; the threads are: ${known}`;
  throw new EsperError("CONFIG_INVALID", text, { path, threads });
}

function invalid(path: string, value: unknown, allowed: string): EsperError {
  const text = `topology ${path} is ${String(value)}; allowed: ${allowed}`;
  return new EsperError("CONFIG_INVALID", text, { path, value, allowed });
}
