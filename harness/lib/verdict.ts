/** One promised figure, what was measured, and whether it holds. */

export interface Verdict {
  readonly promise: string;
  readonly measured: string;
  readonly kept: boolean;
}

export function printVerdicts(title: string, verdicts: readonly Verdict[]): boolean {
  console.log(`\n${title}`);
  for (const { promise, measured, kept } of verdicts) {
    console.log(`  ${kept ? "kept  " : "BROKEN"}  ${promise}: ${measured}`);
  }
  return verdicts.every((verdict) => verdict.kept);
}
