/** The instants a bench compares across threads: one clock of the machine, the same in all. */

/** Milliseconds, to the nanosecond. */
export const instantMs = (): number => Number(process.hrtime.bigint()) / 1e6;

/** Computes for `microseconds`, as a busy handler would. */
export function work(microseconds: number): void {
  const until = performance.now() + microseconds / 1_000;
  while (performance.now() < until);
}
