import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../harness/sim/disk/disk.ts";
import { failAt } from "../../../harness/sim/disk/faults.ts";
import { ERRNOS } from "../../../harness/sim/durable/fault-loop.ts";
import { EsperError } from "../../../src/protocols/errors.ts";
import { backupRun } from "../../../src/runtime/durable/backup.ts";
import {
  type BackupManifest,
  readBackupManifest,
  verifyBackupFiles,
  writeBackupManifest,
} from "../../../src/runtime/durable/backup-layout.ts";
import { type Files, filesOn } from "../../../src/runtime/durable/files.ts";
import { verifyLogs } from "../../../src/runtime/durable/log-inspect.ts";
import { removeTree } from "../../../src/runtime/durable/tree.ts";
import { Wal } from "../../../src/runtime/durable/wal.ts";
import { readLog } from "../../../src/runtime/durable/wal-verify.ts";
import { createRandom } from "../../../src/runtime/random.ts";
import {
  appendTo,
  contentsBelow,
  NOW_MS,
  payload,
  plantRun,
  RUN,
  RUN_ID,
} from "../../fixtures/run-on-disk.ts";

const TARGET = "/other/disk/saved";
const KNOWN = { runId: RUN_ID, hasManifest: true, begun: true, closed: false };

function newDisk(): { disk: SimulatedDisk; files: Files } {
  const disk = new SimulatedDisk({ random: createRandom(7, "backup") });
  return { disk, files: filesOn(disk) };
}

const backup = (files: Files, target = TARGET) =>
  backupRun({
    ...{ files, directory: RUN, run: KNOWN, target },
    ...{ createdAt: "2026-01-02T00:00:00.000Z", product: "0.1.0" },
  });

async function refusal(work: Promise<unknown>): Promise<EsperError> {
  const error = await work.then(
    () => new Error("it was not refused"),
    (thrown: unknown) => thrown,
  );
  if (!EsperError.is(error)) throw error;
  return error;
}

async function payloads(files: Files, directory: string): Promise<Uint8Array[]> {
  const found: Uint8Array[] = [];
  for await (const record of readLog(files, directory)) found.push(record.payload);
  return found;
}

describe("a backup", () => {
  it("holds logs, newest checkpoint, manifest and secret, with digests", async () => {
    const { files } = newDisk();
    await plantRun(files);
    const saved = await backup(files);
    expect(saved).toMatchObject({ runId: RUN_ID, step: 20 });
    expect(saved.logs).toMatchObject([
      { name: "wal", records: 30, lastSequence: 30 },
      { name: "ledger", records: 3, lastSequence: 3 },
    ]);
    const names = saved.files.map(({ path }) => path);
    expect(names).toEqual(expect.arrayContaining(["manifest.json", "secret", "metrics.jsonl"]));
    expect(names.filter((name) => name.startsWith("checkpoints/"))).toEqual([
      "checkpoints/step-000000000020.ckpt",
    ]);
    const manifest = await readBackupManifest(files, TARGET);
    expect(manifest).toEqual(saved);
    await verifyBackupFiles(files, TARGET, manifest);
    const expected = Array.from({ length: 30 }, (_, index) => payload(index + 1));
    expect(await payloads(files, `${TARGET}/wal`)).toEqual(expected);
    const flaws = (await verifyLogs(files, TARGET)).flatMap((log) => log.flaws);
    expect(flaws).toEqual([]);
  });

  it("survives a power failure right after it was made", async () => {
    const { disk, files } = newDisk();
    await plantRun(files);
    await backup(files);
    const later = filesOn(disk.crash());
    await verifyBackupFiles(later, TARGET, await readBackupManifest(later, TARGET));
  });

  it("of a run that is being written holds everything acknowledged before, whole", async () => {
    const { disk } = newDisk();
    const random = createRandom(3, "turns");
    const slow = new SimulatedDisk({ random, turns: () => random.integer(4) });
    const files = filesOn(slow);
    expect(disk.calls).toBe(0);
    await plantRun(files);
    const wal = await Wal.open({ files, directory: `${RUN}/wal`, segmentBytes: 1_024 });
    await appendTo(wal, 31, 20);
    let next = 51;
    let busy = true;
    const writer = (async () => {
      for (; busy; next++) await appendTo(wal, next, 1);
    })();
    const saved = await backup(files);
    busy = false;
    await writer;
    await wal.close();
    expect(next).toBeGreaterThan(60);
    const found = await payloads(files, `${TARGET}/wal`);
    expect(found.length).toBe(saved.logs[0]?.records);
    expect(found.length).toBeGreaterThanOrEqual(50);
    expect(found).toEqual(found.map((_, index) => payload(index + 1)));
  });

  it("of a run that prunes its log meanwhile is made again until it is whole", async () => {
    const { disk, files } = newDisk();
    await plantRun(files);
    const wal = await Wal.open({ files, directory: `${RUN}/wal`, segmentBytes: 1_024 });
    let pruned = 0;
    const meddling: Files = {
      ...files,
      async open(path, mode, permissions) {
        if (pruned === 0 && mode === "create" && path.startsWith(`${TARGET}/wal/`)) {
          // Also the segment that would be copied next.
          pruned += await wal.prune(NOW_MS + 21);
        }
        return files.open(path, mode, permissions);
      },
    };
    const saved = await backup(meddling);
    await wal.close();
    expect(pruned).toBe(2);
    expect(saved.logs[0]?.lastSequence).toBe(30);
    expect(saved.logs[0]?.records).toBeLessThan(30);
    const [log] = await verifyLogs(files, TARGET);
    expect(log).toMatchObject({ records: saved.logs[0]?.records, flaws: [] });
    expect(disk.openHandles).toBe(0);
  });

  it("refuses a place that is not empty, changing nothing", async () => {
    const { disk, files } = newDisk();
    await plantRun(files);
    disk.plantFile(`${TARGET}/notes.txt`, Uint8Array.of(1));
    disk.plantFile("/other/file", Uint8Array.of(1));
    const before = contentsBelow(disk.contents(), "");
    for (const target of [TARGET, "/other/file", `${RUN}/saved`, RUN]) {
      const error = await refusal(backup(files, target));
      expect(error.code).toBe("PLACE_TAKEN");
      expect(error.details).toMatchObject({ path: target });
      expect(error.details["expected"]).toBeTypeOf("string");
    }
    expect(contentsBelow(disk.contents(), "")).toEqual(before);
  });

  it("refuses a damaged log, naming file, offset, expected and found", async () => {
    const { disk, files } = newDisk();
    await plantRun(files);
    const path = `${RUN}/ledger/0000000000000001.wal`;
    const bytes = disk.bytes(path).slice();
    bytes[100] = (bytes[100] ?? 0) ^ 4;
    disk.plantFile(path, bytes);
    const before = contentsBelow(disk.contents(), "");
    const error = await refusal(backup(files));
    expect(error.code).toBe("LOG_DAMAGED");
    expect(error.details).toMatchObject({ file: path });
    expect(error.details["offset"]).toBeTypeOf("number");
    expect(error.details["expected"]).not.toBe(error.details["found"]);
    expect(contentsBelow(disk.contents(), "")).toEqual(before);
  });

  it("refuses a place where no directory can be, naming it", async () => {
    const { disk, files } = newDisk();
    await plantRun(files);
    disk.plantFile("/other/file", Uint8Array.of(1));
    const below = await refusal(backup(files, "/other/file/saved"));
    expect(below.code).toBe("PLACE_UNUSABLE");
    expect(below.details).toMatchObject({ path: "/other/file/saved", where: "/other/file" });
    await files.makeDirectory("/other/empty");
    await files.symlink("/other/empty", "/other/link");
    const link = await refusal(backup(files, "/other/link"));
    expect(link.code).toBe("PLACE_TAKEN");
    expect(link.message).toContain("is no directory");
    expect(link.details).toMatchObject({ found: "a link to /other/empty" });
  });

  it.each(["wal", "ledger"])("refuses a run whose %s is gone, changing nothing", async (name) => {
    const { disk, files } = newDisk();
    await plantRun(files);
    await removeTree(files, `${RUN}/${name}`);
    const before = contentsBelow(disk.contents(), "");
    const error = await refusal(backup(files));
    expect(error.code).toBe("LOG_DAMAGED");
    expect(error.details).toMatchObject({ file: `${RUN}/${name}`, why: "the log is missing" });
    expect(contentsBelow(disk.contents(), "")).toEqual(before);
  });

  it("is described by a file whose form never changes", async () => {
    const golden = readFileSync(new URL("../../golden/backup-v1.json", import.meta.url));
    const { disk, files } = newDisk();
    await files.makeDirectory("/saved");
    disk.plantFile("/saved/backup.json", new Uint8Array(golden));
    const manifest = await readBackupManifest(files, "/saved");
    expect(manifest).toEqual(GOLDEN);
    await files.makeDirectory("/again");
    await writeBackupManifest(files, "/again", GOLDEN);
    expect(new TextDecoder().decode(disk.bytes("/again/backup.json"))).toBe(golden.toString());
  });

  it.each(
    ERRNOS.flatMap((errno) => [
      [errno, "once", false] as const,
      [errno, "on and on", true] as const,
    ]),
  )(
    "whichever call fails with %s %s, is a whole backup or none",
    async (errno, _how, persistent) => {
      const { disk, files } = newDisk();
      await plantRun(files, { reports: 2 });
      let failures = 0;
      for (let call = 1, left = true; left; call++) {
        const outcome = await failing(disk.killed(), call, errno, persistent);
        left = outcome !== "untouched";
        failures += Number(outcome === "failed");
      }
      // A call that was interrupted once is made again.
      expect(failures).toBeGreaterThan(errno === "EINTR" && !persistent ? 5 : 100);
    },
    90_000,
  );
});

const GOLDEN: BackupManifest = {
  format: "esper-backup",
  version: 1,
  runId: RUN_ID,
  createdAt: "2026-01-02T00:00:00.000Z",
  product: "0.1.0",
  step: 20,
  logs: [
    {
      ...{ name: "wal", logId: "00112233445566ff", segments: 1, records: 2 },
      ...{ bytes: 308, lastSequence: 2 },
    },
    { name: "ledger", logId: null, segments: 0, records: 0, bytes: 0, lastSequence: 0 },
  ],
  files: [{ path: "wal/0000000000000001.wal", bytes: 308, sha256: "ab".repeat(32) }],
};

/** A backup of which one call fails: afterwards, and after a power failure, it is whole or none. */
async function failing(disk: SimulatedDisk, call: number, errno: string, persistent: boolean) {
  const failed = disk.calls + call;
  disk.faults = failAt(failed, errno, persistent);
  const error: unknown = await backup(filesOn(disk)).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  disk.faults = () => null;
  expect(disk.openHandles).toBe(0);
  if (error !== null && !EsperError.is(error)) throw error;
  // What is to be taken away may fail as well, but only where the disk fails for good.
  if (error !== null && !persistent) expect(contentsBelow(disk.contents(), TARGET)).toEqual({});
  await expectWholeOrNone(filesOn(disk));
  await expectWholeOrNone(filesOn(disk.crash()));
  if (disk.calls < failed) return "untouched";
  return error === null ? "tolerated" : "failed";
}

async function expectWholeOrNone(files: Files): Promise<void> {
  try {
    await verifyBackupFiles(files, TARGET, await readBackupManifest(files, TARGET));
  } catch (error) {
    expect(error).toMatchObject({ code: "BACKUP_MISSING" });
  }
}
