import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (entry: string) => fileURLToPath(new URL(`src/${entry}.ts`, import.meta.url));

/**
 * Two groups: `unit` reads the sources and needs no build; `built` runs the product in dist/ (real
 * threads load compiled files), so it refuses to start on a missing or outdated build.
 */
export default defineConfig({
  test: {
    pool: "forks",
    // Measured for two cores; more forks only make the timing tests compete for them.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // A test left focused or without an assertion must not pass for a suite.
    allowOnly: false,
    passWithNoTests: false,
    reporters: ["default", "./test/reporters/closing-line.ts"],
    projects: [
      {
        extends: true,
        // Code outside src that names the package gets the sources, the same that tests import.
        resolve: {
          alias: [
            { find: /^esper-runtime\/testkit$/, replacement: source("testkit") },
            { find: /^esper-runtime$/, replacement: source("index") },
          ],
        },
        test: {
          name: "unit",
          include: ["test/unit/**/*.test.ts", "test/tidy/**/*.test.ts", "test/tidy.test.ts"],
        },
      },
      {
        extends: true,
        test: {
          name: "built",
          include: ["test/**/*.test.ts"],
          exclude: ["test/unit/**", "test/tidy/**", "test/tidy.test.ts", "test/fixtures/**"],
          globalSetup: ["./test/global-setup.ts"],
        },
      },
    ],
  },
});
