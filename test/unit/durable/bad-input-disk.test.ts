/** Run directories on disks that refuse: permissions, read-only, failing devices, no room. */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkDisk } from "../../../src/runtime/cli/commands/doctor.ts";
import { type Files, storageError, systemFiles } from "../../../src/runtime/durable/files.ts";
import { MIN_FREE_BYTES, requireFreeSpace } from "../../../src/runtime/run/free-space.ts";
import { createRun, openRun } from "../../../src/runtime/run/run-dir.ts";
import { TestClock } from "../../fixtures/context.ts";
import { snapshotOf } from "./bad-input-damage.ts";
import { runRequest } from "./bad-input-run.ts";

const clock = new TestClock();
let root = "";
let runs = "";
beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), "esper-bad-disk-"));
  runs = path.join(root, "runs");
});
afterEach(() => fs.rmSync(root, { recursive: true }));

/** The real disk, on which one operation on paths with this ending fails. */
function refusing(operation: keyof Files, ending: string, errno: string): Files {
  const real = systemFiles[operation] as (path: string, ...rest: unknown[]) => Promise<unknown>;
  return {
    ...systemFiles,
    [operation]: async (target: string, ...rest: unknown[]) => {
      if (!target.endsWith(ending)) return real(target, ...rest);
      throw storageError(Object.assign(new Error(errno), { code: errno }), operation, target);
    },
  };
}

async function stopped() {
  const { run, lock } = await createRun({ ...runRequest(runs), files: systemFiles, clock });
  await lock.release();
  return run;
}

const roomFor = (bytes: number): Files => ({ ...systemFiles, freeBytes: async () => bytes });

describe("a disk that refuses", () => {
  it.each([
    ["open", "manifest.json", "EACCES", "check that it exists and may be accessed"],
    ["lstat", "secret", "EACCES", "check that it exists and may be accessed"],
    ["open", "manifest.json", "EIO", "the device failed"],
    ["open", "manifest.json", "EMFILE", "too many open files"],
  ] as const)(
    "to %s %s (%s) is named when a run is opened",
    async (operation, name, errno, text) => {
      const run = await stopped();
      if (name === "secret") fs.writeFileSync(run.paths.secret, "s");
      const before = snapshotOf(root);
      await expect(
        openRun(refusing(operation, name, errno), runs, run.runId),
      ).rejects.toMatchObject({
        code: "STORAGE_FAILED",
        message: expect.stringContaining(text),
        details: { path: path.join(run.directory, name), errno },
      });
      expect(snapshotOf(root)).toEqual(before);
    },
  );

  it.each([
    ["list", "wal", "EACCES"],
    ["list", "ledger", "EIO"],
  ] as const)(
    "to %s the folder %s (%s) is named before the lock is taken",
    async (op, name, errno) => {
      const run = await stopped();
      const before = snapshotOf(root);
      const found = await openRun(refusing(op, name, errno), runs, run.runId);
      await expect(found.lock()).rejects.toMatchObject({
        code: "STORAGE_FAILED",
        details: { path: path.join(run.directory, name), errno },
      });
      expect(snapshotOf(root)).toEqual(before);
    },
  );

  it("because it is read-only says so, and how to go on", async () => {
    const files = { ...refusing("makeDirectory", "", "EROFS"), freeBytes: async () => 2 ** 30 };
    await expect(createRun({ ...runRequest(runs), files, clock })).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringMatching(/read-only; mount it writable, or use another directory/),
      details: { errno: "EROFS" },
    });
    expect(fs.existsSync(runs)).toBe(false);
  });
});

describe("a disk with little room", () => {
  it("begins no run, makes nothing, and says what is free and what is needed", async () => {
    const files = roomFor(MIN_FREE_BYTES - 1);
    await expect(createRun({ ...runRequest(runs), files, clock })).rejects.toMatchObject({
      code: "PREFLIGHT_FAILED",
      message: expect.stringMatching(/has 16\.0 MiB of free space; a run needs 16\.0 MiB to begin/),
      details: { path: runs, expected: MIN_FREE_BYTES, found: MIN_FREE_BYTES - 1 },
    });
    expect(fs.existsSync(runs)).toBe(false);
    const { lock } = await createRun({
      ...runRequest(runs),
      ...{ files: roomFor(MIN_FREE_BYTES), clock },
    });
    await lock.release();
  });

  it("continues no run, and leaves it as it is", async () => {
    const run = await stopped();
    const before = snapshotOf(root);
    const found = await openRun(roomFor(1_000), runs, run.runId);
    await expect(found.lock()).rejects.toMatchObject({
      code: "PREFLIGHT_FAILED",
      details: { path: run.directory, found: 1_000 },
    });
    expect(snapshotOf(root)).toEqual(before);
  });

  it("is measured at the nearest folder that exists", async () => {
    const asked: string[] = [];
    const freeBytes = (folder: string): Promise<number> => {
      asked.push(folder);
      return systemFiles.freeBytes(folder);
    };
    await requireFreeSpace({ freeBytes }, path.join(root, "not", "yet"));
    expect(asked).toEqual([path.join(root, "not", "yet"), path.join(root, "not"), root]);
  });

  it("fails the doctor's check of the disk, which names the remedy", async () => {
    const check = await checkDisk(runs, { files: roomFor(1_000), clock });
    expect(check).toMatchObject({ name: "disk", state: "failed" });
    expect(check.remedy).toMatch(/1000 bytes of free space; a run needs 16\.0 MiB/);
    const fine = await checkDisk(runs, { files: roomFor(3 * 2 ** 30), clock });
    expect(fine.state).not.toBe("failed");
    expect(fine.found).toMatch(/slowest of 5 syncs .* ms, 3\.0 GiB free/);
  });
});
