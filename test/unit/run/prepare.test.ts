import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { RunRequest } from "../../../src/protocols/run.ts";
import type { TrainContext } from "../../../src/runtime/cli/deps.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { loadSettings } from "../../../src/runtime/config/settings.ts";
import { systemFiles } from "../../../src/runtime/durable/files.ts";
import { lostLog } from "../../../src/runtime/durable/log-begin.ts";
import { keepOptions } from "../../../src/runtime/run/kept-options.ts";
import { prepareNew, prepareResume } from "../../../src/runtime/run/prepare.ts";

const deps = {
  files: systemFiles,
  clock: systemClock,
  versions: { node: "v20", product: "0" },
  dataBudgetBytes: 2 ** 28,
};
const contextWith = (environment: Record<string, string> = {}) =>
  ({ settings: loadSettings(environment) }) as unknown as TrainContext;

let runsDirectory: string;

beforeEach(async () => {
  runsDirectory = await mkdtemp(join(tmpdir(), "esper-prepare-"));
});

afterEach(async () => {
  await rm(runsDirectory, { recursive: true, force: true });
});

const request = (): RunRequest => ({
  topology: "local-cpu",
  seed: 3,
  runsDirectory,
  data: { kind: "builtin", name: "spirals" },
  validationShare: 0.2,
  host: null,
  epochs: 5,
  batchSize: null,
  optimizer: null,
  learningRate: null,
  weightDecay: null,
  targetScore: null,
  growth: true,
  arm: "policy",
  faults: [],
});

const resume = () => ({
  resume: { runsDirectory, run: "latest" },
  salvage: false,
  topology: "local-cpu",
  faults: [],
});

it("tells which part of a log a salvage puts aside", async () => {
  const { run, lock } = await prepareNew(request(), contextWith(), deps);
  await lock.release();
  const [segment = ""] = await systemFiles.list(run.paths.wal);
  const path = join(run.paths.wal, segment);
  const bytes = new Uint8Array(await systemFiles.read(path));
  bytes[30] = 99;
  await writeFile(path, bytes);
  const resumed = await prepareResume({ ...resume(), salvage: true }, contextWith(), deps);
  await resumed.lock.release();
  const told = resumed.notices.filter((notice) =>
    notice.startsWith(`${path} is damaged at byte 0`),
  );
  expect(told).toHaveLength(1);
});

it("continues as a new incarnation with the secret and the blend it began with", async () => {
  const first = await prepareNew(request(), contextWith(), deps);
  await first.lock.release();
  const changed = contextWith({ TAMIYO_BLEND_MODE_DEFAULT: "CONVEX" });
  const second = await prepareResume(resume(), changed, deps);
  expect(second.order.identity).toEqual({ runId: first.run.runId, incarnation: 2, seed: 3 });
  expect(second.secret).toEqual({ value: first.secret.value, generated: false });
  expect(second.order.options).toEqual(first.order.options);
  await second.lock.release();
});

it("remembers missed decisions over several resumes, also when their rows are gone", async () => {
  const first = await prepareNew(request(), contextWith(), deps);
  await first.lock.release();
  await writeFile(first.run.paths.metrics, '{"kind":"decision_miss","step":48}\n');
  const second = await prepareResume(resume(), contextWith(), deps);
  expect(second.order.missedDecisions).toEqual([48]);
  await second.lock.release();
  await writeFile(first.run.paths.metrics, "");
  const third = await prepareResume(resume(), contextWith(), deps);
  expect(third.order.missedDecisions).toEqual([48]);
  await third.lock.release();
});

it("refuses a completed run, and a run that another process holds", async () => {
  const first = await prepareNew(request(), contextWith(), deps);
  await expect(prepareResume(resume(), contextWith(), deps)).rejects.toMatchObject({
    code: "RUN_LOCKED",
  });
  await first.run.update({ status: "completed" });
  await first.lock.release();
  await expect(prepareResume(resume(), contextWith(), deps)).rejects.toMatchObject({
    code: "USAGE",
  });
});

const stateOf = (runId: string, step: number) => ({ meta: { runId, step }, arrays: {} });

it("continues from the newest checkpoint of its own, and from no other run's", async () => {
  const first = await prepareNew(request(), contextWith(), deps);
  await first.lock.release();
  const { runId, checkpoints } = first.run;
  await checkpoints.save(256, stateOf(runId, 256), { nowMs: 1 });
  const second = await prepareResume(resume(), contextWith(), deps);
  expect(second.resumedFromStep).toBe(256);
  await second.lock.release();
  const { path } = await checkpoints.save(512, stateOf("another", 512), { nowMs: 2 });
  await expect(prepareResume(resume(), contextWith(), deps)).rejects.toMatchObject({
    code: "CHECKPOINT_FOREIGN",
    details: { path, expected: runId, found: "another" },
  });
  // The refusal has given the run back.
  await (await first.run.lock()).release();
});

it("refuses a damaged checkpoint, unless it may be passed over", async () => {
  const first = await prepareNew(request(), contextWith(), deps);
  await first.lock.release();
  const { runId, checkpoints } = first.run;
  await checkpoints.save(256, stateOf(runId, 256), { nowMs: 1 });
  const { path } = await checkpoints.save(512, stateOf(runId, 512), { nowMs: 2 });
  await writeFile(path, "torn");
  await expect(prepareResume(resume(), contextWith(), deps)).rejects.toMatchObject({
    code: "CHECKPOINT_DIGEST",
    details: { path, recoverableStep: 256 },
  });
  const salvaged = await prepareResume({ ...resume(), salvage: true }, contextWith(), deps);
  expect(salvaged.resumedFromStep).toBe(256);
  expect(salvaged.notices.join()).toContain(path);
  expect(salvaged.notices.join()).toContain(`${path}.broken`);
  await salvaged.lock.release();
  expect(await readFile(`${path}.broken`, "utf8")).toBe("torn");
  // Put aside, it refuses nothing any more and is removed by nobody.
  for (const step of [300, 400, 500, 600]) {
    await checkpoints.save(step, stateOf(runId, step), { nowMs: step });
  }
  const later = await prepareResume(resume(), contextWith(), deps);
  expect(later.resumedFromStep).toBe(600);
  await later.lock.release();
  expect(await readFile(`${path}.broken`, "utf8")).toBe("torn");
});

it("refuses a checkpoint of a later version, whatever may be passed over", async () => {
  const first = await prepareNew(request(), contextWith(), deps);
  await first.lock.release();
  const { runId, checkpoints, paths } = first.run;
  await checkpoints.save(256, stateOf(runId, 256), { nowMs: 1 });
  const { path } = await checkpoints.save(512, stateOf(runId, 512), { nowMs: 2 });
  const bytes = await readFile(path);
  bytes[8] = 9;
  await writeFile(path, bytes);
  const before = [await readFile(paths.manifest, "utf8"), await readdir(paths.checkpoints)];
  for (const salvage of [false, true]) {
    await expect(
      prepareResume({ ...resume(), salvage }, contextWith(), deps),
    ).rejects.toMatchObject({ code: "CHECKPOINT_VERSION", details: { path, found: "9" } });
  }
  expect(await readFile(path)).toEqual(bytes);
  const after = [await readFile(paths.manifest, "utf8"), await readdir(paths.checkpoints)];
  expect(after).toEqual(before);
});

it.each(["wal", "ledger"] as const)(
  "refuses a run whose %s is gone or empty, unless it may be given up, and says so",
  async (name) => {
    const first = await prepareNew(request(), contextWith(), deps);
    await first.lock.release();
    const { directory, runId, paths } = first.run;
    const segment = join(paths[name], "0000000000000001.wal");
    const manifest = await readFile(paths.manifest, "utf8");
    const harms = [
      () => truncate(segment),
      () => rm(segment),
      () => rm(paths[name], { recursive: true }),
    ];
    for (const harm of harms) {
      await harm();
      await expect(prepareResume(resume(), contextWith(), deps)).rejects.toMatchObject({
        code: "WAL_MISSING",
        message: expect.stringMatching(/Put it back, .*--resume .* --salvage/),
      });
      expect(await readFile(paths.manifest, "utf8")).toBe(manifest);
    }
    const salvaged = await prepareResume({ ...resume(), salvage: true }, contextWith(), deps);
    expect(salvaged.notices.join()).toContain(`${paths[name]}: the log is missing`);
    await salvaged.lock.release();
    // The ledger is left to its actor, which must see that it is gone.
    const still = await lostLog(systemFiles, { directory, runId, name });
    expect(still === null).toBe(name === "wal");
  },
);

it("takes a run of an earlier version, whose logs were not begun with it", async () => {
  const first = await prepareNew(request(), contextWith(), deps);
  await first.lock.release();
  const { paths } = first.run;
  const { logsBegun, ...manifest } = JSON.parse(await readFile(paths.manifest, "utf8"));
  expect(logsBegun).toBe(true);
  await writeFile(paths.manifest, JSON.stringify(manifest));
  await truncate(join(paths.ledger, "0000000000000001.wal"));
  await rm(join(paths.wal, "0000000000000001.wal"));
  const resumed = await prepareResume(resume(), contextWith(), deps);
  expect(resumed.resumedFromStep).toBe(0);
  await resumed.lock.release();
});

it("goes on with the options it began with, whatever today's defaults are", async () => {
  const { order, lock } = await prepareNew(request(), contextWith(), deps);
  await lock.release();
  const today = { ...order.options, batchSize: 7, maxEpochs: 9, decideEvery: 99 };
  expect(keepOptions(today, { ...order.options })).toEqual(order.options);
  expect(keepOptions(today, { ...order.options, batchSize: "many" })).toEqual(today);
});
