/** A disk that runs full under a living writer, for real: a tmpfs, or a limit on file sizes. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import type { FullDiskFigures } from "../../harness/drills/durable/full-disk.ts";
import { plainEnvironment } from "./program.ts";

const HARNESS = fileURLToPath(new URL("../../dist/harness.js", import.meta.url));
/** Ten times what it takes, for a machine with other work to do. */
const LIMIT_MS = 600_000;

interface Report {
  readonly drills: {
    readonly "full-disk": {
      readonly figures: FullDiskFigures & { readonly disk: string };
      readonly verdicts: readonly { readonly promise: string; readonly kept: boolean }[];
    };
  };
}

function fill(cycles: number, ...more: string[]) {
  const args = ["drill", "durable", "--only", "full-disk", "--cycles", String(cycles), "--json"];
  const { status, stdout, stderr } = spawnSync(process.execPath, [HARNESS, ...args, ...more], {
    env: plainEnvironment(),
    encoding: "utf8",
    timeout: LIMIT_MS,
  });
  expect(status, stdout + stderr).toBe(0);
  const { figures, verdicts } = (JSON.parse(stdout) as Report).drills["full-disk"];
  expect(verdicts.filter(({ kept }) => !kept)).toEqual([]);
  expect(figures).toMatchObject({ cycles, restarts: 0, otherCodes: [], lost: [], phantom: [] });
  expect(figures.roomMs).toHaveLength(cycles);
  return figures;
}

it(
  "20 times: coded refusals, told, nothing lost, and it goes on without a restart",
  () => {
    const { disk, refused, acknowledged } = fill(20);
    // Without the right to mount anything it is a limit on file sizes, and says so.
    expect(disk).toMatch(/^(tmpfs: 2 MiB|file size limit: mounting is not allowed here)/);
    expect(Math.min(refused, acknowledged)).toBeGreaterThanOrEqual(20);
  },
  LIMIT_MS,
);

it(
  "by a limit on the size of its files: the same",
  () => {
    expect(fill(3, "--disk", "file size limit").disk).toMatch(/^file size limit/);
  },
  LIMIT_MS,
);
