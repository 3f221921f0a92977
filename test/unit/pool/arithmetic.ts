/** Jobs for tests that need no worker. */
import { EsperError } from "../../../src/protocols/errors.ts";
import { defineJobs } from "../../../src/runtime/pool/jobs.ts";

export const arithmetic = defineJobs(import.meta.url, {
  double: (value: number) => 2 * value,
  name: async (_: null, job) => job.name,
  fail: () => {
    throw new RangeError("out of range");
  },
  odd: () => Promise.reject({ not: "an error" }),
  heavy: () => {
    throw new EsperError("DATA_INVALID", "bad", { why: () => 1 });
  },
});
