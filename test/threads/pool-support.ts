/** The built pool, as thread tests use it; every pool is closed after its test. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, expect } from "vitest";
import type { Pool } from "../../dist/runtime/pool/pool.js";
import type { PoolOptions } from "../../dist/runtime/pool/settings.js";
import { jobs } from "../fixtures/pool/jobs.mjs";

const entry = fileURLToPath(new URL("../../dist/runtime/pool/thread-entry.js", import.meta.url));
if (!existsSync(entry)) {
  throw new Error(`the built package is missing (${entry}); run: npx tsc -p tsconfig.json`);
}

const pools = await import("../../dist/runtime/pool/pool.js");
const { systemClock } = await import("../../dist/runtime/clock.js");
export const { CancellationToken } = await import("../../dist/runtime/token.js");

type Jobs = (typeof jobs)["functions"];

const open = new Set<Pool<Jobs>>();

afterEach(async () => {
  for (const pool of open) {
    const account = pool.account();
    const { submitted, queued, running, completed, cancelled, timedOut, failed } = account;
    expect(queued + running + completed + cancelled + timedOut + failed).toBe(submitted);
    await pool.close({ graceMs: 50 });
  }
  open.clear();
});

/** Opens a pool of the fixture's jobs with one worker; every option can be overridden. */
export async function start(options: Partial<PoolOptions> = {}): Promise<Pool<Jobs>> {
  const defaults: PoolOptions = { kind: "threads", workers: 1, clock: systemClock, graceMs: 60 };
  const pool = await pools.openPool(jobs, { ...defaults, ...options });
  open.add(pool);
  return pool;
}

/** Cancels a new token after `delayMs`. */
export function cancelledAfter(delayMs: number): InstanceType<typeof CancellationToken> {
  const token = new CancellationToken();
  setTimeout(() => token.cancel(), delayMs);
  return token;
}

/** A word that jobs write and tests read. */
export function sharedWord(): { readonly word: SharedArrayBuffer; read(): number } {
  const word = new SharedArrayBuffer(4);
  return { word, read: () => Atomics.load(new Int32Array(word), 0) };
}

export const pause = (delayMs: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, delayMs));
