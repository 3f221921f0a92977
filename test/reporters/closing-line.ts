/**
 * Prints the outcome of the whole run as one line of its own, after everything else:
 * "<n> passed, <m> failed", with ", <k> skipped" when there are any.
 */
import type { Reporter, TestModule } from "vitest/node";

/** How many tests ended in which way. */
export interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

/** Adds one file's tests; a file that failed without a failing test (import error) is one. */
function addModule(tally: Tally, module: TestModule): void {
  let failedTests = 0;
  for (const test of module.children.allTests()) {
    const state = test.result().state;
    if (state === "passed") tally.passed++;
    else if (state === "skipped") tally.skipped++;
    else failedTests++;
  }
  const failedOutsideTests = failedTests === 0 && module.state() === "failed";
  tally.failed += failedOutsideTests ? 1 : failedTests;
}

/** Counts a run; an error outside any test counts as a failure, so the line never hides one. */
export function countRun(modules: readonly TestModule[], strayErrors: number): Tally {
  const tally: Tally = { passed: 0, failed: 0, skipped: 0 };
  for (const module of modules) addModule(tally, module);
  tally.failed += strayErrors;
  return tally;
}

/** The closing line, without its line break. */
export function formatTally(tally: Tally): string {
  const skipped = tally.skipped > 0 ? `, ${tally.skipped} skipped` : "";
  return `${tally.passed} passed, ${tally.failed} failed${skipped}`;
}

/** The reporter vitest loads by path. */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    process.stdout.write(`\n${formatTally(countRun(modules, errors.length))}\n`);
  }
}
