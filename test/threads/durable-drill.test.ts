/** The durable drills and their bench as a person starts them: kill -9, and where they may run. */
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { describeDisk, realDirectory } from "../../harness/bench/durable/disk.ts";
import type { KillFigures } from "../../harness/drills/durable/kill.ts";
import type { TraceFigures } from "../../harness/drills/durable/trace-read.ts";
import { plainEnvironment } from "../e2e/program.ts";

const HARNESS = fileURLToPath(new URL("../../dist/harness.js", import.meta.url));
/** Ten times what it takes, for a machine with other work to do. */
const LIMIT_MS = 600_000;
const KILLS = 200;

function harness(...args: string[]) {
  const options = { env: plainEnvironment(), encoding: "utf8", timeout: LIMIT_MS } as const;
  return spawnSync(process.execPath, [HARNESS, ...args], options);
}

it(
  `a log outlives ${KILLS} kills of its writer: nothing acknowledged is lost, nothing is made up`,
  () => {
    const args = ["--only", "kill", "--kills", String(KILLS), "--json"];
    const { status, stdout, stderr } = harness("drill", "durable", ...args);
    expect(status, stdout + stderr).toBe(0);
    const { drills } = JSON.parse(stdout) as {
      drills: { kill: { figures: KillFigures; verdicts: { kept: boolean }[] } };
    };
    const { figures, verdicts } = drills.kill;
    expect(verdicts.filter(({ kept }) => !kept)).toEqual([]);
    expect(figures).toMatchObject({ kills: KILLS, lost: [], phantom: [], failures: [] });
    // A drill that met only idle writers, or never rotated, pruned or compacted, shows little.
    expect(figures.acknowledged).toBeGreaterThan(10 * KILLS);
    expect(Math.min(figures.whileOpening, figures.unacknowledged)).toBeGreaterThan(0);
    expect(Math.min(figures.prunes, figures.compactions)).toBeGreaterThan(0);
  },
  LIMIT_MS,
);

const traces = spawnSync("strace", ["-o", "/dev/null", "true"]).status === 0;

it.runIf(traces)(
  "the system calls show every record synced before it is acknowledged",
  () => {
    const args = ["--only", "trace", "--appends", "300", "--json"];
    const { status, stdout, stderr } = harness("drill", "durable", ...args);
    expect(status, stdout + stderr).toBe(0);
    const { drills } = JSON.parse(stdout) as { drills: { trace: { figures: TraceFigures } } };
    expect(drills.trace.figures.early).toEqual([]);
    expect(drills.trace.figures.acknowledgements).toBeGreaterThanOrEqual(300);
  },
  LIMIT_MS,
);

it("a drill that cannot be carried out is a broken promise, and says why", () => {
  const directory = path.join(os.tmpdir(), "esper-no-such-folder");
  const { status, stderr } = harness("drill", "durable", "--directory", directory);
  expect(status).not.toBe(0);
  expect(stderr).toContain(directory);
});

const MOUNTS = "/proc/mounts";
const mounts = fs.existsSync(MOUNTS) ? fs.readFileSync(MOUNTS, "utf8").split("\n") : [];
const memory = mounts
  .map((line) => line.split(" "))
  .find(([, at, type]) => type === "tmpfs" && at === "/dev/shm")?.[1];

it.runIf(memory !== undefined)("a folder in memory is refused: a sync there proves nothing", () => {
  expect(describeDisk(memory!)).toMatchObject({ type: "tmpfs" });
  expect(() => realDirectory(memory!)).toThrow(/in memory.*--directory/);
  const { status, stderr } = harness("bench", "durable", "--directory", memory!);
  expect(status).not.toBe(0);
  expect(stderr).toContain("--directory");
});

it("the disk that a folder lies on is named", () => {
  const { text, type } = describeDisk(realDirectory());
  expect(text).toMatch(/^\S+ on \S+, mounted at \//);
  expect(["tmpfs", "ramfs"]).not.toContain(type);
});
