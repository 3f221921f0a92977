/** A job that ends its process as native code does: at once, without a word. */
import { defineJobs } from "esper-runtime";

export const abortJobs = defineJobs(import.meta.url, {
  abort: (_nothing: null): never => process.abort(),
  double: (value: number): number => value * 2,
  /** Heeds nothing. */
  loop: (_nothing: null): never => {
    for (;;);
  },
});
