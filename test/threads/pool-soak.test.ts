/**
 * Jobs that are cancelled at every moment of their lives, by the hundred. POOL_SOAK_ROUNDS=100 in
 * the environment makes it the long one.
 */
import { existsSync, readdirSync } from "node:fs";
import { expect, it } from "vitest";
import { createRandom } from "../../dist/runtime/random.js";
import { ownTable } from "../../dist/runtime/token-table.js";
import { CancellationToken, pause, start } from "./pool-support.ts";

const ROUNDS = Number(process.env["POOL_SOAK_ROUNDS"] ?? 20);
const JOBS = 256;
const GRACE_MS = 15;
const ROUND_MS = 60_000;

type SoakPool = Awaited<ReturnType<typeof start>>;

interface SoakJob {
  readonly word: SharedArrayBuffer;
  readonly token: InstanceType<typeof CancellationToken>;
  readonly stubborn: boolean;
  readonly deadlineMs: number;
  cancelledAtMs: number;
  settledAtMs: number;
  ends: number;
  code: string;
  /** What the job had written when its caller got the answer. */
  written: number;
}

const written = ({ word }: SoakJob): number => Atomics.load(new Int32Array(word), 0);

function balance(pool: SoakPool): number {
  const { submitted, queued, running, completed, cancelled, timedOut, failed } = pool.account();
  return submitted - (queued + running + completed + cancelled + timedOut + failed);
}

/** Submits one job and cancels it, or not, at some moment of its life. */
async function live(
  pool: SoakPool,
  random: ReturnType<typeof createRandom>,
  stubbornShare: number,
): Promise<SoakJob> {
  const job: SoakJob = {
    word: new SharedArrayBuffer(4),
    token: new CancellationToken(),
    stubborn: random.next() < stubbornShare,
    deadlineMs: random.next() < 0.1 ? random.integer(12) : ROUND_MS,
    ...{ cancelledAtMs: Number.POSITIVE_INFINITY, settledAtMs: 0, ends: 0, code: "", written: 0 },
  };
  const cancel = (): void => {
    job.cancelledAtMs = Math.min(job.cancelledAtMs, performance.now());
    job.token.cancel();
  };
  const moment = random.next();
  if (moment < 0.1) cancel();
  const { word, stubborn, token, deadlineMs } = job;
  const limitMs = stubborn ? ROUND_MS : random.next() * 2;
  const counting = random.next() < 0.7 || stubborn;
  const ended = (code: string): void => {
    job.ends += 1;
    job.code = code;
    job.settledAtMs = performance.now();
    job.written = written(job);
    expect(balance(pool)).toBe(0);
  };
  const options = { deadlineMs, token };
  const run: Promise<unknown> = counting
    ? pool.run("count", { word, stubborn, limitMs }, options)
    : pool.run("wait", { limitMs }, options);
  const settled = run.then(
    () => ended("value"),
    (error: Error & { code: string }) => ended(error.code),
  );
  expect(balance(pool)).toBe(0);
  if (moment >= 0.1 && moment < 0.2) cancel();
  else if (moment < 0.6 || stubborn) {
    await pause(random.integer(40));
    cancel();
    if (moment < 0.3) cancel();
  }
  await settled;
  cancel();
  return job;
}

const threads = (): number =>
  existsSync("/proc/self/task") ? readdirSync("/proc/self/task").length : 0;

const listeners = (): number =>
  process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0);

const resources = (): string[] =>
  process
    .getActiveResourcesInfo()
    .filter((kind) => kind !== "Timeout")
    .sort();

const middle = (values: readonly number[]): number =>
  [...values].sort((left, right) => left - right)[values.length >> 1] ?? 0;

it.each([
  ["threads of their own", false],
  ["shared threads", true],
])("cancelled jobs in %s are settled, booked, and have no later effect", async (_, cooperative) => {
  const before = { threads: threads(), listeners: listeners(), resources: resources() };
  const slots = ownTable().used;
  const seed = 11;
  const random = createRandom(seed, `soak-${cooperative}`);
  const pool = await start({ workers: 2, graceMs: GRACE_MS, cooperative, queueCapacity: JOBS });
  // In a shared thread nothing is forced, so there a stubborn job would only stop the others.
  const share = cooperative ? 0 : 0.01;
  const stubbornMs: number[] = [];
  const jobs: SoakJob[] = [];
  for (let round = 0; round < ROUNDS / 2; round++) {
    const begun = Array.from({ length: JOBS }, () => live(pool, random, share));
    jobs.push(...(await Promise.all(begun)));
    expect(balance(pool)).toBe(0);
  }
  for (const job of jobs) {
    expect(job.ends).toBe(1);
    expect(["value", "CANCELLED", "DEADLINE_EXCEEDED"]).toContain(job.code);
    if (job.code !== "CANCELLED") continue;
    if (job.stubborn) stubbornMs.push(job.settledAtMs - job.cancelledAtMs);
    // A shared thread that the system stopped for the whole grace may finish one more step.
    const after = written(job) - job.written;
    expect(after, "writes after the end").toBeLessThanOrEqual(cooperative ? 1 : 0);
  }
  const account = pool.account();
  expect(account.submitted).toBe(jobs.length);
  expect(account.completed).toBe(jobs.filter(({ code }) => code === "value").length);
  expect(account.cancelled).toBe(jobs.filter(({ code }) => code === "CANCELLED").length);
  expect(account.timedOut).toBe(jobs.filter(({ code }) => code === "DEADLINE_EXCEEDED").length);
  expect(account).toMatchObject({ queued: 0, running: 0, failed: 0 });
  await pool.close();
  expect(pool.statistics().lingering).toBe(0);
  expect(ownTable().used).toBe(slots);
  await pause(20);
  expect({ threads: threads(), listeners: listeners(), resources: resources() }).toEqual(before);
  if (!cooperative) expect(middle(stubbornMs)).toBeLessThan(GRACE_MS + 100);
});
