import { mkdtemp, readdir, readlink, rm, stat, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { describeClaim, ledgerFloor } from "../../../src/actors/ledger/for-operators.ts";
import { EsperError } from "../../../src/protocols/errors.ts";
import type { RunRequest, RunSummary } from "../../../src/protocols/run.ts";
import { systemFiles as files } from "../../../src/runtime/durable/files.ts";
import { createCommands } from "../../../src/runtime/run/commands.ts";
import { UNKNOWN_PLACE } from "../../../src/runtime/run/process-place.ts";
import { createRun, listRuns, openRun } from "../../../src/runtime/run/run-dir.ts";
import {
  isRunHeld,
  lockRun,
  type Processes,
  systemProcesses,
} from "../../../src/runtime/run/run-lock.ts";
import { TestClock } from "../../fixtures/context.ts";
import { MemoryFiles } from "../../fixtures/memory-files.ts";

let runsDirectory = "";
const clock = new TestClock();
beforeEach(async () => {
  runsDirectory = join(await mkdtemp(join(tmpdir(), "esper-runs-")), "runs");
  clock.wallMs = Date.UTC(2026, 10, 21, 13, 5, 9);
});
afterEach(() => rm(join(runsDirectory, ".."), { recursive: true }));

const request = (): RunRequest => ({
  topology: "local-cpu",
  seed: 42,
  runsDirectory,
  data: { kind: "csv", file: "a.csv", target: "y" },
  validationShare: 0.2,
  host: { kind: "mlp", widths: [16, 16] },
  epochs: null,
  batchSize: 32,
  optimizer: null,
  learningRate: null,
  weightDecay: null,
  targetScore: null,
  growth: true,
  arm: "policy",
  faults: [{ kind: "kill", actor: "tamiyo", at: { afterMs: 3_000 } }],
});

const point = {
  epoch: 1,
  step: 2,
  trainingLoss: 0.5,
  validationLoss: 0.5,
  trainingScore: 0.5,
  validationScore: 0.5,
};
const summary: RunSummary = {
  runId: "x",
  directory: "d",
  outcome: "completed",
  datasetName: "spirals",
  task: "classification",
  scoreName: "accuracy",
  epochs: 3,
  steps: 9,
  wallSeconds: 1.5,
  firstGrowthSeconds: null,
  beforeGrowth: point,
  last: point,
  testScore: null,
  hostParameters: 10,
  totalParameters: 20,
  seeds: { fossilized: 1, culled: 0, alive: 0 },
  restarts: 0,
  residentMemoryMb: 99,
  digest: "ab",
};

const REPORT = {
  source: "built-in: spirals",
  rows: 770,
  features: 2,
  dropped: {},
  filled: {},
  classBalance: { first: 385, second: 385 },
  notes: ["a note"],
};

const create = (generatedSecret: string | null = null, name = "Two Spirals!") =>
  createRun({
    files,
    clock,
    request: request(),
    dataset: { name, digest: "d1", report: REPORT },
    options: { batchSize: 32, host: { layers: [] } },
    versions: { node: "v20", product: "0.1.0" },
    generatedSecret,
  });

describe("a run directory", () => {
  it("is named by time and data set, holds the layout, and is the latest", async () => {
    const { run, lock } = await create();
    expect(run.runId).toMatch(/^20261121-130509-two-spirals-[0-9a-f]{4}$/);
    expect(await readdir(run.directory)).toEqual(
      ["checkpoints", "ledger", "lock.1", "manifest.json", "wal"].sort(),
    );
    expect(await readlink(join(runsDirectory, "latest"))).toBe(run.runId);
    expect(run.manifest).toMatchObject({ status: "running", incarnation: 1, summary: null });
    await lock.release();
  });

  it("is found by latest, id and path with everything it was created with", async () => {
    const { run } = await create();
    await run.update({ status: "completed", incarnation: 3, missedDecisions: [48] });
    await run.update({ summary });
    for (const name of ["latest", run.runId, run.directory]) {
      const found = await openRun(files, runsDirectory, name);
      expect(found.runId).toBe(run.runId);
      expect(found.manifest).toEqual({ ...run.manifest, request: request(), summary });
      expect(found.manifest).toMatchObject({
        status: "completed",
        incarnation: 3,
        missedDecisions: [48],
      });
    }
  });

  it("writes changes in order even when nobody waits for them", async () => {
    const { run } = await create();
    await Promise.all([2, 3, 4, 5].map((incarnation) => run.update({ incarnation })));
    expect((await openRun(files, runsDirectory, "latest")).manifest.incarnation).toBe(5);
  });

  it("keeps a generated secret private and out of the manifest", async () => {
    const { run } = await create("a-very-secret-secret");
    expect(await run.readSecret()).toBe("a-very-secret-secret");
    expect((await stat(run.paths.secret)).mode & 0o777).toBe(0o600);
    for (const name of await readdir(run.directory)) {
      const path = join(run.directory, name);
      if (path === run.paths.secret || (await stat(path)).isDirectory()) continue;
      expect(new TextDecoder().decode(await files.read(path))).not.toContain("very-secret");
    }
    expect(await (await create()).run.readSecret()).toBeNull();
  });

  it("names the nearest and the most recent runs when there is no such run", async () => {
    await expect(openRun(files, runsDirectory, "latest")).rejects.toMatchObject({
      code: "RUN_NOT_FOUND",
    });
    const { run } = await create();
    const typo = `${run.runId.slice(0, -1)}!`;
    const error = await openRun(files, runsDirectory, typo).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "RUN_NOT_FOUND", details: { recent: [run.runId] } });
    expect(String(error)).toContain(`did you mean ${run.runId}`);
  });

  it("finds the newest run when the link is gone, and lists newest first", async () => {
    const first = (await create()).run.runId;
    clock.wallMs += 60_000;
    const second = (await create()).run.runId;
    await unlink(join(runsDirectory, "latest"));
    expect((await openRun(files, runsDirectory, "latest")).runId).toBe(second);
    await writeFile(join(runsDirectory, first, "manifest.json"), '{"version":1}');
    const { runs, unreadable } = await listRuns(files, runsDirectory);
    expect(runs.map(({ runId }) => runId)).toEqual([second]);
    expect(unreadable).toMatchObject([{ code: "DATA_INVALID" }]);
    await expect(openRun(files, runsDirectory, first)).rejects.toMatchObject({
      code: "DATA_INVALID",
      details: { field: "runId" },
    });
  });

  it("tells a run that is held from one whose process is gone or has left", async () => {
    const { run, lock } = await create();
    const dead: Processes = { ...systemProcesses(files), alive: () => false };
    expect(await isRunHeld(files, run.directory)).toBe(true);
    expect(await isRunHeld(files, run.directory, dead)).toBe(false);
    await lock.release();
    expect(await isRunHeld(files, run.directory)).toBe(false);
    expect(await isRunHeld(files, runsDirectory)).toBe(false);
  });

  it("lists a run whose process is gone as interrupted, never as running", async () => {
    const { run, lock } = await create();
    const { listRuns: list } = createCommands({
      files,
      clock,
      version: "1",
      nodeVersion: "20",
      residentBytes: () => 0,
      readClaim: describeClaim,
      ledgerFloor,
    });
    expect((await list(runsDirectory)).runs).toMatchObject([{ status: "running" }]);
    await lock.release();
    const { runs } = await list(runsDirectory);
    expect(runs).toMatchObject([{ runId: run.runId, status: "interrupted" }]);
  });

  it("says of damaged text and of a run that never began what they are", async () => {
    const { run } = await create();
    await writeFile(run.paths.manifest, "{");
    const [damaged] = (await listRuns(files, runsDirectory)).unreadable;
    expect(damaged?.message).toContain("is not a run's manifest: it is not JSON (");
    await unlink(run.paths.manifest);
    const [begun] = (await listRuns(files, runsDirectory)).unreadable;
    expect(begun?.message).toBe(
      `${run.directory} has no manifest: its process ended before the run began. It can be deleted`,
    );
  });

  it("lists nothing where there is no directory", async () => {
    expect(await listRuns(files, join(runsDirectory, "none"))).toEqual({
      runs: [],
      unreadable: [],
    });
  });
});

describe("the lock", () => {
  const directory = "/run";
  const disk = (): MemoryFiles => {
    const made = new MemoryFiles();
    made.directories.add(directory);
    return made;
  };
  const processAt = (pid: number, living: Set<number>, token = "t"): Processes => ({
    pid,
    host: "here",
    alive: (other) => living.has(other),
    startToken: async () => token,
    place: async () => UNKNOWN_PLACE,
  });

  it("keeps a second process out, and the same process too", async () => {
    const { run } = await create();
    await expect(run.lock()).rejects.toMatchObject({
      code: "RUN_LOCKED",
      details: { pid: process.pid },
    });
  });

  it("is free after release, as often as it is released", async () => {
    const { run, lock } = await create();
    await lock.release();
    await lock.release();
    const again = await run.lock();
    await expect(run.lock()).rejects.toMatchObject({ code: "RUN_LOCKED" });
    await again.release();
    await (await run.lock()).release();
  });

  it("takes over from a process that is gone, and from a later one with its pid", async () => {
    const made = disk();
    await lockRun(made, directory, processAt(1, new Set([1])));
    await lockRun(made, directory, processAt(2, new Set([2])));
    await expect(lockRun(made, directory, processAt(3, new Set([2, 3])))).rejects.toMatchObject({
      details: { pid: 2 },
    });
    await lockRun(made, directory, processAt(3, new Set([2, 3]), "later"));
  });

  it("takes over from before the machine was started anew, and from no other place", async () => {
    const here = { machine: "m1", boot: "b1", numbers: "n1" };
    const at = (place: typeof here): Processes => ({
      ...processAt(1, new Set([1])),
      place: async () => place,
    });
    for (const [place, taken] of [
      [{ ...here, boot: "b2" }, true],
      [{ ...here, boot: "b2", numbers: "n2" }, true],
      [{ ...here, numbers: "n2" }, false],
      [{ ...here, machine: "m2" }, false],
      [{ ...here, machine: "m2", boot: "b2" }, false],
      [here, false],
    ] as const) {
      const made = disk();
      await lockRun(made, directory, at(here));
      const second = lockRun(made, directory, at(place)).then(
        () => true,
        (error: unknown) => EsperError.is(error, "RUN_LOCKED") && false,
      );
      expect(await second).toBe(taken);
    }
  });

  it("does not judge processes of another machine", async () => {
    const made = disk();
    await lockRun(made, directory, { ...processAt(1, new Set()), host: "there" });
    await expect(lockRun(made, directory, processAt(2, new Set([2])))).rejects.toMatchObject({
      code: "RUN_LOCKED",
    });
  });

  it("lets exactly one of many win, fresh or after a dead owner", async () => {
    for (const stale of [false, true]) {
      for (let round = 0; round < 20; round++) {
        const made = disk();
        if (stale) await lockRun(made, directory, processAt(1, new Set()));
        const living = new Set([2, 3, 4, 5, 6]);
        const results = await Promise.allSettled(
          [...living].map(async (pid, index) => {
            for (let wait = 0; wait < index * round; wait++) await null;
            return lockRun(made, directory, processAt(pid, living));
          }),
        );
        expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
      }
    }
  });

  it("backs off when what it read of the lock is outdated", async () => {
    class SlowDisk extends MemoryFiles {
      meanwhile: (() => Promise<unknown>) | null = null;
      override async link(existing: string, created: string): Promise<void> {
        const { meanwhile } = this;
        this.meanwhile = null;
        await meanwhile?.();
        await super.link(existing, created);
      }
    }
    const made = new SlowDisk();
    made.directories.add(directory);
    await lockRun(made, directory, processAt(1, new Set()));
    const living = new Set([2, 3, 4]);
    // Process 4 has seen generation 1; before it creates 2, that is used, released and gone.
    made.meanwhile = async () => {
      await (await lockRun(made, directory, processAt(2, living))).release();
      await lockRun(made, directory, processAt(3, living));
    };
    await expect(lockRun(made, directory, processAt(4, living))).rejects.toMatchObject({
      code: "RUN_LOCKED",
      details: { pid: 3 },
    });
  });

  it("knows the living from the dead", async () => {
    const processes = systemProcesses(files);
    expect(processes.alive(process.pid)).toBe(true);
    expect(processes.alive(2 ** 22 + 1)).toBe(false);
    const token = await processes.startToken(process.pid);
    if (process.platform === "linux") expect(token).toMatch(/^\d+$/);
    expect(await processes.startToken(2 ** 22 + 1)).toBeNull();
  });
});
