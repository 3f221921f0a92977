import { describe, expect, it } from "vitest";
import type { TestModule } from "vitest/node";
import { countRun, formatTally } from "../../reporters/closing-line.ts";

/** The part of a finished test file that the reporter reads. */
function finished(state: "passed" | "failed", tests: readonly string[]): TestModule {
  const all = tests.map((one) => ({ result: () => ({ state: one }) }));
  const module = { state: () => state, children: { allTests: () => all } };
  return module as unknown as TestModule;
}

describe("the closing line", () => {
  it("counts every test of every file", () => {
    const modules = [
      finished("failed", ["passed", "failed", "passed"]),
      finished("passed", ["passed", "skipped"]),
    ];
    expect(countRun(modules, 0)).toEqual({ passed: 3, failed: 1, skipped: 1 });
  });

  it("counts a file that could not be loaded, and errors outside tests, as failures", () => {
    expect(countRun([finished("failed", [])], 0).failed).toBe(1);
    expect(countRun([finished("failed", ["passed"])], 0).failed).toBe(1);
    expect(countRun([finished("passed", ["passed"])], 2).failed).toBe(2);
  });

  it("counts a test that never ended as a failure", () => {
    expect(countRun([finished("failed", ["pending"])], 0)).toEqual({
      passed: 0,
      failed: 1,
      skipped: 0,
    });
  });

  it("mentions skipped tests only when there are any", () => {
    expect(formatTally({ passed: 3, failed: 0, skipped: 0 })).toBe("3 passed, 0 failed");
    expect(formatTally({ passed: 3, failed: 1, skipped: 2 })).toBe("3 passed, 1 failed, 2 skipped");
  });
});
