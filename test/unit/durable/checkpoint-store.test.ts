import { describe, expect, it } from "vitest";
import { decodeCheckpoint, encodeCheckpoint } from "../../../src/runtime/durable/checkpoint.ts";
import {
  type CheckpointEntry,
  listCheckpoints,
} from "../../../src/runtime/durable/checkpoint-index.ts";
import { doomed } from "../../../src/runtime/durable/checkpoint-retention.ts";
import { CheckpointStore } from "../../../src/runtime/durable/checkpoint-store.ts";
import { sample } from "../../fixtures/checkpoints.ts";
import { MemoryFiles } from "../../fixtures/memory-files.ts";

const DIRECTORY = "/run/checkpoints";
const INDEX = `${DIRECTORY}/index.json`;
const MODEL = "/run/model.ckpt";
const HOUR_MS = 3_600_000;

const bytesOf = (step: number): Uint8Array => encodeCheckpoint(sample(step));
const pathOf = (step: number): string => `${DIRECTORY}/step-${String(step).padStart(12, "0")}.ckpt`;
const save = (store: CheckpointStore, step: number, nowMs = step, final = false) =>
  store.save(step, sample(step), { final, nowMs });
const steps = async (files: MemoryFiles): Promise<number[]> =>
  (await listCheckpoints(files, DIRECTORY)).map(({ step }) => step);

async function filled(...saved: number[]): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  const store = new CheckpointStore(files, DIRECTORY);
  for (const step of saved) await save(store, step);
  return files;
}

describe("the store", () => {
  it("keeps the last three and the final one, and finds the newest", async () => {
    const files = new MemoryFiles();
    const store = new CheckpointStore(files, DIRECTORY, MODEL);
    for (const step of [10, 20, 30, 40]) await save(store, step);
    const saved = await save(store, 50, 50, true);
    expect(saved).toMatchObject({ housekeeping: null, bytes: bytesOf(50).byteLength });
    expect(await files.list(DIRECTORY)).toEqual([
      "final-000000000050.ckpt",
      "index.json",
      "step-000000000020.ckpt",
      "step-000000000030.ckpt",
      "step-000000000040.ckpt",
    ]);
    expect(files.bytes(MODEL)).toEqual(bytesOf(50));
    const { good, damaged } = await store.latestGood();
    expect(good).toMatchObject({ step: 50, final: true, bytes: bytesOf(50) });
    expect(damaged).toEqual([]);
  });

  it("keeps the newest final one for ever, and earlier ones no longer than others", async () => {
    const files = new MemoryFiles();
    const store = new CheckpointStore(files, DIRECTORY);
    for (const step of [10, 20]) await save(store, step, step, true);
    for (const step of [30, 40, 50, 60]) await save(store, step, step + 1_000 * HOUR_MS);
    expect(await steps(files)).toEqual([60, 50, 40, 20]);
  });

  it("removes what is too old, but never the newest nor the newest final one", async () => {
    const files = new MemoryFiles();
    const retention = { keep: 3, maxAgeMs: HOUR_MS };
    const store = new CheckpointStore(files, DIRECTORY, null, retention);
    await save(store, 10, 0, true);
    await save(store, 20, 0);
    await save(store, 30, 0.5 * HOUR_MS);
    await save(store, 40, 1.2 * HOUR_MS);
    expect(await steps(files)).toEqual([40, 30, 10]);
    await save(store, 50, 9 * HOUR_MS);
    expect(await steps(files)).toEqual([50, 10]);
    // A clock that was set back makes nothing old.
    await save(store, 60, -9 * HOUR_MS);
    expect(await steps(files)).toEqual([60, 50, 10]);
  });

  it("never gives up the newest good one, however old it is and whatever came after it", () => {
    const entry = (step: number, fields: Partial<CheckpointEntry>): CheckpointEntry => ({
      ...{ path: `/${step}`, name: `${step}`, step, final: false, bytes: 1, epoch: null },
      ...{ savedMs: 0, digest: null, verifiedMs: null, flaw: null },
      ...fields,
    });
    const torn = { flaw: "torn", verifiedMs: null };
    const entries = [entry(30, torn), entry(20, { verifiedMs: 1 }), entry(10, { verifiedMs: 1 })];
    const going = doomed(entries, { keep: 1, maxAgeMs: 5 }, 1_000);
    expect(going.map(({ step }) => step)).toEqual([10]);
  });

  it("passes over damaged and unreadable ones and says which", async () => {
    const files = await filled(10, 20, 30);
    const store = new CheckpointStore(files, DIRECTORY);
    files.putBytes(pathOf(30), bytesOf(30).slice(0, 99));
    files.fault = (operation, path) => (operation === "read" && path === pathOf(20) ? "EIO" : null);
    const { good, damaged } = await store.latestGood();
    expect(good?.step).toBe(10);
    expect(damaged).toMatchObject([
      { step: 30, error: { code: "CHECKPOINT_DIGEST" } },
      { step: 20, error: { code: "STORAGE_FAILED" } },
    ]);
    files.fault = () => null;
    for (const step of [10, 20, 30]) files.putBytes(pathOf(step), new Uint8Array(9));
    await expect(store.requireGood()).rejects.toMatchObject({ code: "CHECKPOINT_MISSING" });
  });

  it("finds the newest one up to a step", async () => {
    const store = new CheckpointStore(await filled(10, 20, 30), DIRECTORY);
    expect((await store.latestGood(29)).good?.step).toBe(20);
    expect((await store.latestGood(9)).good).toBeNull();
  });

  it("never lets a given-up future crowd out the checkpoints of the present", async () => {
    const files = await filled(10, 80, 90, 100);
    const store = new CheckpointStore(files, DIRECTORY);
    await save(store, 20);
    expect((await store.latestGood()).good?.step).toBe(20);
  });

  it("acknowledges nothing while a given-up future would be found first", async () => {
    const files = await filled(10, 80, 90);
    const store = new CheckpointStore(files, DIRECTORY);
    files.fault = (operation, path) =>
      operation === "remove" && path === pathOf(90) ? "EIO" : null;
    await expect(save(store, 20)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    files.fault = () => null;
    await save(store, 20);
    expect((await new CheckpointStore(files.crashed(), DIRECTORY).latestGood()).good?.step).toBe(
      20,
    );
  });

  it("moves what it cannot read aside, and never removes it, on an earlier save", async () => {
    const files = await filled(10, 80, 90);
    const torn = bytesOf(80).slice(0, 99);
    const newer = bytesOf(90);
    newer[8] = 9;
    files.putBytes(pathOf(80), torn);
    files.putBytes(pathOf(90), newer);
    files.putBytes(`${pathOf(80)}.broken`, new Uint8Array(3));
    await save(new CheckpointStore(files, DIRECTORY), 20);
    expect(files.bytes(`${pathOf(80)}.broken.2`)).toEqual(torn);
    expect(files.bytes(`${pathOf(80)}.broken`)).toEqual(new Uint8Array(3));
    expect(files.bytes(`${pathOf(90)}.broken`)).toEqual(newer);
    expect(await steps(files)).toEqual([20, 10]);
    for (const step of [30, 40, 50, 60]) await save(new CheckpointStore(files, DIRECTORY), step);
    expect(files.crashed().bytes(`${pathOf(90)}.broken`)).toEqual(newer);
  });

  it("passes over nothing that a later version wrote", async () => {
    const files = await filled(10, 20, 30);
    const newer = bytesOf(30);
    newer[8] = 9;
    files.putBytes(pathOf(30), newer);
    const store = new CheckpointStore(files, DIRECTORY);
    await expect(store.latestGood()).rejects.toMatchObject({
      code: "CHECKPOINT_VERSION",
      details: { path: pathOf(30), expected: "1 or 2", found: "9" },
    });
    expect((await store.latestGood(20)).good?.step).toBe(20);
    expect(files.bytes(pathOf(30))).toEqual(newer);
  });

  it("never lets torn ones crowd out a good one", async () => {
    const files = await filled(10);
    const store = new CheckpointStore(files, DIRECTORY);
    for (const step of [11, 12, 13, 14]) files.putBytes(pathOf(step), bytesOf(step).slice(0, 50));
    await save(store, 15);
    await save(store, 16);
    expect(await steps(files)).toContain(10);
    expect((await store.latestGood(14)).good?.step).toBe(10);
    await save(store, 17);
    expect(await steps(files)).toEqual([17, 16, 15]);
  });

  it("removes what an interrupted save has left", async () => {
    const files = await filled(10);
    files.putBytes(`${pathOf(15)}.tmp`, new Uint8Array(9));
    await save(new CheckpointStore(files, DIRECTORY), 20);
    expect((await files.list(DIRECTORY)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });

  it("reports a full disk, leaves no temporary file, and saves the next one", async () => {
    const files = await filled(10);
    const store = new CheckpointStore(files, DIRECTORY);
    files.fault = (operation) => (operation === "write" ? "ENOSPC" : null);
    await expect(save(store, 20)).rejects.toMatchObject({
      code: "STORAGE_FULL",
      details: { errno: "ENOSPC" },
    });
    files.fault = () => null;
    expect((await files.list(DIRECTORY)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    expect(await save(store, 30)).toMatchObject({ housekeeping: null });
    expect(await steps(files)).toEqual([30, 10]);
  });

  it("does not fail a save whose old ones or index cannot be put in order", async () => {
    const files = await filled(10, 20, 30);
    const store = new CheckpointStore(files, DIRECTORY);
    files.fault = (operation, path) =>
      operation === "remove" && path === pathOf(10) ? "EIO" : null;
    expect((await save(store, 40)).housekeeping).toMatchObject({ code: "STORAGE_FAILED" });
    expect((await store.latestGood()).good?.step).toBe(40);
    files.fault = (operation, path) =>
      path === `${INDEX}.tmp` && operation === "write" ? "ENOSPC" : null;
    for (const step of [50, 60]) {
      expect((await save(store, step)).housekeeping).toMatchObject({ code: "STORAGE_FULL" });
    }
    // What it verified itself it remembers without the index.
    expect(await steps(files)).toEqual([60, 50, 40]);
  });
});

/** Every container on the disk is whole, the newest is one of `expected`, and saving goes on. */
async function checkAfter(disk: MemoryFiles, expected: readonly number[]): Promise<void> {
  const store = new CheckpointStore(disk, DIRECTORY);
  const { good, damaged } = await store.latestGood();
  expect(damaged).toEqual([]);
  expect(expected).toContain(good?.step);
  const containers = [...disk.entries].filter(([path]) => path.endsWith(".ckpt"));
  for (const [path, bytes] of containers) decodeCheckpoint(bytes as Uint8Array, path);
  expect(await save(store, 50)).toMatchObject({ housekeeping: null });
}

describe("after a crash at any call of a save that prunes", () => {
  it.each([
    ["EIO", "from then on"],
    ["ENOSPC", "once"],
  ])("there is the old or the new state, whole (%s, %s)", async (errno, how) => {
    const base = await filled(10, 20, 30);
    let failing = 1;
    for (let isStruck = true; isStruck; failing++) {
      const files = base.crashed();
      const before = files.operations;
      files.fault = (_operation, _path, count) => {
        const late = count - before - failing;
        return late === 0 || (late > 0 && how !== "once") ? errno : null;
      };
      const isSaved = await save(new CheckpointStore(files, DIRECTORY, MODEL), 40, 40, true).then(
        () => true,
        () => false,
      );
      isStruck = files.operations - before >= failing;
      files.fault = () => null;
      expect(files.openHandles).toBe(0);
      const expected = isSaved ? [40] : [30, 40];
      await checkAfter(files.crashed(), expected);
      await checkAfter(files.killed(), expected);
    }
    expect(failing).toBeGreaterThan(40);
  });
});

describe("the list", () => {
  it("tells of every checkpoint without reading it whole", async () => {
    const files = await filled(10, 20);
    const read = files.trace.length;
    const listed = await listCheckpoints(files, DIRECTORY);
    expect(listed).toMatchObject([
      { step: 20, final: false, epoch: 2, savedMs: 20, verifiedMs: 20, flaw: null },
      { step: 10, bytes: bytesOf(10).byteLength, verifiedMs: 10 },
    ]);
    const digest = Buffer.from(bytesOf(20).subarray(-32)).toString("hex");
    expect(listed[0]?.digest).toBe(digest);
    expect(files.trace.slice(read).filter((line) => line.startsWith("write"))).toEqual([]);
  });

  it.each([
    ["missing", null],
    ["torn", '{"version":1,"entr'],
    ["of another format", '{"version":9,"entries":[]}'],
    ["hostile", `{"version":1,"entries":[${'{"name":"../../etc/passwd"},'.repeat(3)}null]}`],
    ["no text", "\u0000\u0001"],
  ])("is right when the index is %s, and the next save rebuilds it", async (_what, text) => {
    const files = await filled(10, 20);
    if (text === null) await files.remove(INDEX);
    else files.putBytes(INDEX, new TextEncoder().encode(text));
    expect(await listCheckpoints(files, DIRECTORY)).toMatchObject([
      { step: 20, epoch: 2, verifiedMs: null, flaw: null, digest: expect.any(String) },
      { step: 10, epoch: 2, verifiedMs: null, flaw: null },
    ]);
    await save(new CheckpointStore(files, DIRECTORY), 30);
    expect(await listCheckpoints(files, DIRECTORY)).toMatchObject([
      { step: 30, verifiedMs: 30 },
      { step: 20, verifiedMs: null },
      { step: 10, verifiedMs: null },
    ]);
  });

  it("believes the file, not the index", async () => {
    const files = await filled(10, 20);
    files.putBytes(pathOf(10), bytesOf(11));
    files.putBytes(pathOf(20), bytesOf(20).slice(0, 40));
    expect(await listCheckpoints(files, DIRECTORY)).toMatchObject([
      { step: 20, verifiedMs: null, digest: null, flaw: expect.stringMatching(/size/) },
      { step: 10, verifiedMs: null, flaw: null },
    ]);
  });

  it("is empty where there is nothing, and names what is no file", async () => {
    const files = new MemoryFiles();
    expect(await listCheckpoints(files, "/nowhere")).toEqual([]);
    files.directories.add(pathOf(5));
    expect(await listCheckpoints(files, DIRECTORY)).toMatchObject([
      { step: 5, flaw: "it is a directory" },
    ]);
  });
});
