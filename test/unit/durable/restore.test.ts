import { describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../harness/sim/disk/disk.ts";
import { failAt } from "../../../harness/sim/disk/faults.ts";
import { decodeRecord } from "../../../src/actors/ledger/claim-record.ts";
import { ledgerFloor } from "../../../src/actors/ledger/for-operators.ts";
import { EsperError } from "../../../src/protocols/errors.ts";
import { backupRun } from "../../../src/runtime/durable/backup.ts";
import { writeBackupManifest } from "../../../src/runtime/durable/backup-layout.ts";
import { crc32c } from "../../../src/runtime/durable/crc32c.ts";
import { type Files, filesOn } from "../../../src/runtime/durable/files.ts";
import { verifyLogs } from "../../../src/runtime/durable/log-inspect.ts";
import { finishCutRestore } from "../../../src/runtime/durable/restore.ts";
import { readLog } from "../../../src/runtime/durable/wal-verify.ts";
import { createRandom } from "../../../src/runtime/random.ts";
import { readManifest, writeManifest } from "../../../src/runtime/run/manifest.ts";
import { repairRun, restoreRun } from "../../../src/runtime/run/restore-run.ts";
import { TestClock } from "../../fixtures/context.ts";
import {
  contentsBelow,
  locksOf,
  manifestOf,
  NOW_MS,
  plantRun,
  RUN,
  RUN_ID,
} from "../../fixtures/run-on-disk.ts";

const BACKUP = "/saved/first";
const ELSEWHERE = "/elsewhere/run";
const ASIDE = `/runs/replaced-${RUN_ID}-1`;

interface World {
  readonly disk: SimulatedDisk;
  readonly files: Files;
}

/** A run and its backup; the run has gone on since. */
async function world(reports = 12): Promise<World> {
  const disk = new SimulatedDisk({ random: createRandom(5, "restore") });
  const files = filesOn(disk);
  await plantRun(files, { reports });
  await backupRun({
    ...{ files, directory: RUN, runId: RUN_ID, target: BACKUP },
    ...{ createdAt: "2026-01-02T00:00:00.000Z", product: "0.1.0" },
  });
  await writeManifest(files, `${RUN}/manifest.json`, manifestOf(RUN_ID, 9));
  return { disk, files };
}

function depsOf(files: Files) {
  const clock = new TestClock();
  clock.wallMs = NOW_MS + 1_000_000;
  return { files, clock, ledgerFloor, locks: locksOf(files) };
}

const restore = (files: Files, target = RUN) => restoreRun(BACKUP, target, depsOf(files));
const repair = (files: Files, deps = depsOf(files)) => repairRun(RUN, deps);

async function refusal(work: Promise<unknown>): Promise<EsperError> {
  const error = await work.then(
    () => new Error("it was not refused"),
    (thrown: unknown) => thrown,
  );
  if (!EsperError.is(error)) throw error;
  return error;
}

/** The refusal, after making sure that nothing on the disk was changed by it. */
async function refusedUnchanged({ disk }: World, work: () => Promise<unknown>) {
  const before = contentsBelow(disk.contents(), "");
  const error = await refusal(work());
  expect(contentsBelow(disk.contents(), "")).toEqual(before);
  expect(disk.openHandles).toBe(0);
  return error;
}

const recordsIn = async (files: Files, directory: string) =>
  (await verifyLogs(files, directory)).map(({ name, records }) => [name, records]);

async function floorOf(files: Files, directory: string): Promise<number> {
  let floorMs = 0;
  for await (const { payload } of readLog(files, `${directory}/ledger`)) {
    floorMs = Math.max(floorMs, decodeRecord(payload).floorMs);
  }
  return floorMs;
}

function flip(disk: SimulatedDisk, path: string, offset: number): void {
  const bytes = disk.bytes(path).slice();
  bytes[offset] = (bytes[offset] ?? 0) ^ 16;
  disk.plantFile(path, bytes);
}

describe("a backup that is put back", () => {
  it("becomes a run in a new place, with ids that the original never used", async () => {
    const { files } = await world();
    const restored = await restore(files, ELSEWHERE);
    expect(restored).toMatchObject({ runId: RUN_ID, directory: ELSEWHERE, replaced: null });
    expect(await recordsIn(files, ELSEWHERE)).toEqual([
      ["wal", 12],
      ["ledger", 4],
    ]);
    const { incarnation } = await readManifest(files, `${ELSEWHERE}/manifest.json`);
    expect(incarnation).toBe(1_003);
    expect(await floorOf(files, ELSEWHERE)).toBe(NOW_MS + 1_000_000);
    const names = await files.list(ELSEWHERE);
    expect(names).toContain("restore.json");
    expect(names.filter((name) => name.startsWith("lock."))).toEqual([]);
  });

  it("replaces its own run as a whole, and keeps what was there", async () => {
    const { disk, files } = await world();
    disk.plantFile(`${RUN}/notes.txt`, Uint8Array.of(1));
    const before = contentsBelow(disk.contents(), RUN);
    const restored = await restore(files);
    expect(restored.replaced).toBe(ASIDE);
    expect(contentsBelow(disk.contents(), ASIDE)).toEqual(before);
    const { incarnation } = await readManifest(files, `${RUN}/manifest.json`);
    expect(incarnation).toBe(9);
    expect(await files.list(RUN)).not.toContain("notes.txt");
    const again = await restore(files);
    expect(again.replaced).toBe(`/runs/replaced-${RUN_ID}-2`);
  });

  it("is refused while a process works on the run", async () => {
    const found = await world();
    const { files } = found;
    await locksOf(files, [7], 7).take(RUN);
    const deps = { ...depsOf(files), locks: locksOf(files, [1, 7]) };
    const error = await refusedUnchanged(found, () => restoreRun(BACKUP, RUN, deps));
    expect(error.code).toBe("RUN_LOCKED");
    expect((await refusedUnchanged(found, () => repairAfterDamage(found, deps))).code).toBe(
      "RUN_LOCKED",
    );
  });

  it("is refused when any byte of it is not as it was saved", async () => {
    const { disk } = await world();
    const names = Object.keys(contentsBelow(disk.contents(), BACKUP));
    expect(names.length).toBeGreaterThan(6);
    for (const name of names) {
      const copy = disk.killed();
      const found = { disk: copy, files: filesOn(copy) };
      const path = `${BACKUP}/${name}`;
      if (copy.bytes(path).byteLength === 0) continue;
      flip(copy, path, Math.floor(copy.bytes(path).byteLength / 2));
      const error = await refusedUnchanged(found, () => restore(found.files));
      expect(["BACKUP_DAMAGED", "BACKUP_INVALID"]).toContain(error.code);
      expect(error.details).toMatchObject({ path });
      expect(error.details["expected"]).not.toBe(error.details["found"]);
    }
  });

  it.each([
    ["a file is missing", "BACKUP_DAMAGED", (files: Files) => files.remove(`${BACKUP}/secret`)],
    [
      "a segment was added",
      "BACKUP_DAMAGED",
      (files: Files) => files.link(`${BACKUP}/secret`, `${BACKUP}/wal/0000000000000099.wal`),
    ],
    [
      "a file is a link",
      "STORAGE_FAILED",
      async (files: Files) => {
        await files.rename(`${BACKUP}/secret`, "/saved/secret");
        await files.symlink("/saved/secret", `${BACKUP}/secret`);
      },
    ],
    [
      "it was never finished",
      "BACKUP_MISSING",
      (files: Files) => files.remove(`${BACKUP}/backup.json`),
    ],
    [
      "it is a directory",
      "BACKUP_INVALID",
      async (files: Files) => {
        await files.remove(`${BACKUP}/backup.json`);
        await files.makeDirectory(`${BACKUP}/backup.json`);
      },
    ],
  ])("is refused when %s", async (_what, code, harm) => {
    const found = await world();
    await harm(found.files);
    const error = await refusedUnchanged(found, () => restore(found.files));
    expect(error.code).toBe(code);
  });

  it.each([
    ["a later format", { version: 2 }],
    ["another format", { format: "tar" }],
    ["names that lead out of it", { files: [{ path: "../x", bytes: 1, sha256: "0".repeat(64) }] }],
    ["the name of a lock", { files: [{ path: "lock.9", bytes: 1, sha256: "0".repeat(64) }] }],
  ])("of %s is refused", async (_what, change) => {
    const found = await world();
    const path = `${BACKUP}/backup.json`;
    const saved = JSON.parse(new TextDecoder().decode(found.disk.bytes(path)));
    const { digest: _digest, ...manifest } = saved;
    if ("files" in change)
      await writeBackupManifest(found.files, BACKUP, { ...manifest, ...change });
    else
      found.disk.plantFile(path, new TextEncoder().encode(JSON.stringify({ ...saved, ...change })));
    const error = await refusedUnchanged(found, () => restore(found.files));
    expect(error.code).toBe("BACKUP_INVALID");
    expect(error.details).toMatchObject({ path, offset: 0 });
  });

  it("is refused over another run, over other things and over a link", async () => {
    const found = await world();
    const { disk, files } = found;
    await plantRun(files, { directory: "/runs/b", runId: "20260101-000000-rings-ffff" });
    disk.plantFile("/full/notes.txt", Uint8Array.of(1));
    await files.symlink(RUN, "/runs/link");
    const codeFor = async (target: string) =>
      (await refusedUnchanged(found, () => restore(files, target))).code;
    expect(await codeFor("/runs/b")).toBe("BACKUP_INVALID");
    expect(await codeFor("/full")).toBe("PLACE_TAKEN");
    expect(await codeFor("/full/notes.txt")).toBe("PLACE_TAKEN");
    expect(await codeFor("/runs/link")).toBe("PLACE_TAKEN");
  });
});

/** Flips a bit in the middle of the run's second segment of reports, then mends it. */
async function repairAfterDamage({ disk, files }: World, deps = depsOf(files)) {
  const path = `${RUN}/wal/0000000000000011.wal`;
  const before = disk.bytes(path);
  flip(disk, path, 130);
  try {
    return await repairRun(RUN, deps);
  } catch (error) {
    disk.plantFile(path, before);
    throw error;
  }
}

describe("a repair", () => {
  it("keeps all before the damage and the broken original", async () => {
    const found = await world(25);
    const { disk, files } = found;
    const path = `${RUN}/wal/0000000000000011.wal`;
    flip(disk, path, 130);
    const broken = contentsBelow(disk.contents(), RUN);
    const repaired = await repair(files);
    expect(repaired.damage[0]).toMatchObject({ file: path, kind: "damaged" });
    expect(repaired.replaced).toBe(ASIDE);
    expect(contentsBelow(disk.contents(), ASIDE)).toEqual(broken);
    expect(await recordsIn(files, RUN)).toEqual([
      ["wal", 11],
      ["ledger", 3],
    ]);
    // The ledger was whole: nothing it knows is in doubt.
    expect(await floorOf(files, RUN)).toBe(0);
    const kept = Object.keys(contentsBelow(disk.contents(), RUN));
    expect(kept).toEqual(expect.arrayContaining(["log.jsonl", "secret", "manifest.json"]));
    expect((await verifyLogs(files, RUN, RUN_ID)).flatMap(({ flaws }) => flaws)).toEqual([]);
  });

  it("of the ledger lets no command pass that was issued before", async () => {
    const { disk, files } = await world();
    flip(disk, `${RUN}/ledger/0000000000000001.wal`, 200);
    await repair(files);
    expect(await floorOf(files, RUN)).toBe(NOW_MS + 1_000_000);
  });

  it("changes nothing where nothing is damaged, or only a write is unfinished", async () => {
    const { disk, files } = await world();
    const path = `${RUN}/wal/0000000000000011.wal`;
    disk.plantFile(path, disk.bytes(path).slice(0, -70));
    const before = contentsBelow(disk.contents(), "");
    const repaired = await repair(files);
    expect(repaired).toMatchObject({ damage: [], replaced: null });
    expect(contentsBelow(disk.contents(), "")).toEqual(before);
  });

  it("refuses what cutting would not mend: a later format, a link, another run's log", async () => {
    const found = await world();
    const { disk, files } = found;
    const path = `${RUN}/wal/0000000000000001.wal`;
    const whole = disk.bytes(path).slice();
    const later = whole.slice();
    later[4] = 3;
    new DataView(later.buffer).setUint32(52, crc32c(later.subarray(0, 52)), true);
    disk.plantFile(path, later);
    const version = await refusedUnchanged(found, () => repair(files));
    expect(version.details).toMatchObject({ file: path });
    await files.remove(path);
    disk.plantFile("/outside.wal", whole);
    await files.symlink("/outside.wal", path);
    expect((await refusedUnchanged(found, () => repair(files))).code).toBe("LOG_DAMAGED");
    await files.remove(path);
    await plantRun(files, { directory: "/runs/b", runId: "20260101-000000-rings-ffff" });
    for (const name of await files.list(`${RUN}/wal`)) await files.remove(`${RUN}/wal/${name}`);
    disk.plantFile(path, disk.bytes("/runs/b/wal/0000000000000001.wal"));
    const foreign = await refusedUnchanged(found, () => repair(files));
    expect(foreign.details).toMatchObject({ file: path, offset: 0 });
  });
});

describe("a power failure or a dead process during a restore", () => {
  /** What a start finds: the old run or the new one, whole, with nothing in between. */
  async function expectOldOrNew(disk: SimulatedDisk, old: object): Promise<"old" | "new"> {
    const files = filesOn(disk);
    await finishCutRestore(files, RUN, locksOf(files, []));
    const { "restore.json": note, ...now } = contentsBelow(disk.contents(), RUN);
    const isLock = (name: string): boolean => /^lock\.\d+(\.\w+)*$/.test(name);
    const kept = Object.entries(now).filter(([name]) => !isLock(name));
    if (note === undefined) {
      expect(Object.fromEntries(kept)).toEqual(old);
      return "old";
    }
    expect(await recordsIn(files, RUN)).toEqual([
      ["wal", 2],
      ["ledger", 4],
    ]);
    expect(await floorOf(files, RUN)).toBe(NOW_MS + 1_000_000);
    return "new";
  }

  it("leaves the old run or the new one, at every call, and a second try works", async () => {
    const { disk } = await world(2);
    const old = contentsBelow(disk.contents(), RUN);
    const seen = { old: 0, new: 0 };
    for (let call = 1, left = true; left; call++) {
      const copy = disk.killed();
      const failed = copy.calls + call;
      copy.faults = failAt(failed, "EIO", true);
      await restore(filesOn(copy)).catch((error: unknown) => {
        if (!EsperError.is(error)) throw error;
      });
      left = copy.calls >= failed;
      copy.faults = () => null;
      for (const after of [copy.killed(), copy.crash()]) {
        seen[await expectOldOrNew(after, old)] += 1;
        if (call % 5 !== 0) continue;
        const files = filesOn(after);
        const again = { ...depsOf(files), locks: locksOf(files, [2], 2) };
        await restoreRun(BACKUP, RUN, again);
        expect(await expectOldOrNew(after, old)).toBe("new");
      }
    }
    expect(seen.old).toBeGreaterThan(100);
    expect(seen.new).toBeGreaterThan(2);
  }, 90_000);

  it("whatever single call fails, tells it in a coded error or has done its work", async () => {
    const { disk } = await world(2);
    const old = contentsBelow(disk.contents(), RUN);
    for (let call = 1, left = true; left; call++) {
      const copy = disk.killed();
      const failed = copy.calls + call;
      copy.faults = failAt(failed, call % 2 === 0 ? "EIO" : "ENOSPC");
      const outcome = await restore(filesOn(copy)).then(
        () => "done",
        (error: unknown) => {
          if (!EsperError.is(error)) throw error;
          return "failed";
        },
      );
      left = copy.calls >= failed;
      copy.faults = () => null;
      expect(copy.openHandles).toBe(0);
      const state = await expectOldOrNew(copy, old);
      if (outcome === "done") expect(state).toBe("new");
    }
  }, 90_000);
});
