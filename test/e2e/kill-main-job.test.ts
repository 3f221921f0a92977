/** The whole main job, killed at random moments and resumed, ends like one nobody disturbed. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import type { JobFigures } from "../../harness/drills/durable/job.ts";
import { plainEnvironment } from "./program.ts";

const HARNESS = fileURLToPath(new URL("../../dist/harness.js", import.meta.url));
/** Ten times what it takes, for a machine with other work to do. */
const LIMIT_MS = 600_000;
const KILLS = 3;

it(
  `SIGKILL ${KILLS} times: resumed each time, the same digest and the same rows`,
  () => {
    const args = ["drill", "durable", "--only", "job", "--job-kills", String(KILLS), "--json"];
    const { status, stdout, stderr } = spawnSync(process.execPath, [HARNESS, ...args], {
      env: plainEnvironment(),
      encoding: "utf8",
      timeout: LIMIT_MS,
    });
    expect(status, stdout + stderr).toBe(0);
    const { drills } = JSON.parse(stdout) as {
      drills: { job: { figures: JobFigures; verdicts: readonly { kept: boolean }[] } };
    };
    const { figures, verdicts } = drills.job;
    expect(verdicts.filter(({ kept }) => !kept)).toEqual([]);
    expect(figures).toMatchObject({ otherDigests: [], otherRows: [], failures: [] });
    expect(figures.kills).toBeGreaterThanOrEqual(KILLS);
    // A job that was begun anew each time would have resumed nothing.
    expect(Math.max(...figures.resumedFrom)).toBeGreaterThan(0);
  },
  LIMIT_MS,
);
