/** The task of the pool bench, as a job of ours and as a function that piscina finds by name. */
import { defineJobs } from "esper-runtime";

/** Computes for the given time; what it returns lets the caller check that every task ran. */
export function burn(us: number): number {
  const endsAtMs = performance.now() + us / 1_000;
  while (performance.now() < endsAtMs);
  return us;
}

export const burning = defineJobs(import.meta.url, { burn: (us: number): number => burn(us) });
