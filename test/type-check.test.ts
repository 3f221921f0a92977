/**
 * vitest strips types without checking them, so the tests themselves are checked here, together
 * with the harness and the topologies: an expected error in test/types/ that no longer occurs
 * fails, too.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const DEADLINE_MS = 120_000;

it(
  "every test, the harness and actors.config.ts type-check",
  () => {
    const compiler = join(ROOT, "node_modules/typescript/bin/tsc");
    const result = spawnSync(process.execPath, [compiler, "-p", "test/tsconfig.json"], {
      cwd: ROOT,
      encoding: "utf8",
      timeout: DEADLINE_MS,
    });
    expect(result.status, result.stdout + result.stderr).toBe(0);
  },
  DEADLINE_MS,
);
