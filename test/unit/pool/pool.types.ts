/**
 * What must not compile. The type checker reads this file and nothing runs it: every marked line
 * has to be an error, else its mark is one.
 */
import { defineJobs } from "../../../src/runtime/pool/jobs.ts";
import type { Pool } from "../../../src/runtime/pool/pool.ts";

export const jobs = defineJobs(import.meta.url, {
  hash: async (input: { readonly text: string }, job): Promise<string> => {
    job.token.throwIfCancelled();
    return input.text;
  },
  count: (input: readonly number[]): number => input.length,
});

declare const pool: Pool<(typeof jobs)["functions"]>;

export async function useOfAPool(): Promise<readonly unknown[]> {
  const hash: string = await pool.run("hash", { text: "a" }, { deadlineMs: 5 });
  const count: number = await pool.run("count", [1], { deadlineMs: 5 });
  // @ts-expect-error run without a deadline
  await pool.run("count", [1], {});
  // @ts-expect-error run without options
  await pool.run("count", [1]);
  // @ts-expect-error wrong input
  await pool.run("hash", { text: 1 }, { deadlineMs: 5 });
  // @ts-expect-error unknown job
  await pool.run("sum", [1], { deadlineMs: 5 });
  // @ts-expect-error the result is not a string
  const wrong: string = await pool.run("count", [1], { deadlineMs: 5 });
  return [hash, count, wrong];
}
