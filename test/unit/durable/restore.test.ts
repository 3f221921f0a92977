import { describe, expect, it } from "vitest";
import type { SimulatedDisk } from "../../../harness/sim/disk/disk.ts";
import { failAt } from "../../../harness/sim/disk/faults.ts";
import { ERRNOS } from "../../../harness/sim/durable/fault-loop.ts";
import { EsperError } from "../../../src/protocols/errors.ts";
import { writeBackupManifest } from "../../../src/runtime/durable/backup-layout.ts";
import { type Files, filesOn } from "../../../src/runtime/durable/files.ts";
import { finishCutRestore, readRestoreNote } from "../../../src/runtime/durable/restore.ts";
import { readManifest } from "../../../src/runtime/run/manifest.ts";
import { restoreRun } from "../../../src/runtime/run/restore-run.ts";
import {
  ASIDE,
  BACKUP,
  depsOf,
  ELSEWHERE,
  flip,
  floorOf,
  recordsIn,
  refusedUnchanged,
  repairAfterDamage,
  restore,
  world,
} from "../../fixtures/restore-world.ts";
import {
  contentsBelow,
  locksOf,
  NOW_MS,
  plantRun,
  RUN,
  RUN_ID,
} from "../../fixtures/run-on-disk.ts";

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
      "BACKUP_DAMAGED",
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

  it("is refused over another run and over other things", async () => {
    const found = await world();
    const { disk, files } = found;
    await plantRun(files, { directory: "/runs/b", runId: "20260101-000000-rings-ffff" });
    disk.plantFile("/full/notes.txt", Uint8Array.of(1));
    const codeFor = async (target: string) =>
      (await refusedUnchanged(found, () => restore(files, target))).code;
    expect(await codeFor("/runs/b")).toBe("BACKUP_INVALID");
    expect(await codeFor("/full")).toBe("PLACE_TAKEN");
    expect(await codeFor("/full/notes.txt")).toBe("PLACE_TAKEN");
    expect(await codeFor("/full/notes.txt/below")).toBe("PLACE_UNUSABLE");
  });

  it("over a link replaces what the link leads to, and never the link", async () => {
    const { files } = await world();
    await files.symlink(RUN_ID, "/runs/link");
    const restored = await restore(files, "/runs/link");
    expect(restored).toMatchObject({ directory: RUN, replaced: ASIDE });
    expect(await files.readLink("/runs/link")).toBe(RUN_ID);
    expect((await files.lstat(RUN)).kind).toBe("directory");
  });

  it("leaves a note whose form never changes", async () => {
    const { files, disk } = await world();
    await restore(files);
    expect(new TextDecoder().decode(disk.bytes(`${RUN}/restore.json`))).toBe(
      `{
  "version": 1,
  "runId": "20260101-000000-spirals-abcd",
  "restoredAt": "2026-01-01T00:16:40.000Z",
  "from": "/saved/first",
  "replaced": "/runs/replaced-20260101-000000-spirals-abcd-1"
}
`,
    );
    expect(await readRestoreNote(files, RUN)).toMatchObject({ from: BACKUP, replaced: ASIDE });
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

  it.each(ERRNOS)(
    "leaves the old run or the new one, whichever call begins to fail with %s",
    async (errno) => {
      const { disk } = await world(2);
      const old = contentsBelow(disk.contents(), RUN);
      const seen = { old: 0, new: 0 };
      for (let call = 1, left = true; left; call++) {
        const copy = disk.killed();
        const failed = copy.calls + call;
        copy.faults = failAt(failed, errno, true);
        await restore(filesOn(copy)).catch((error: unknown) => {
          if (!EsperError.is(error)) throw error;
        });
        left = copy.calls >= failed;
        copy.faults = () => null;
        for (const after of [copy.killed(), copy.crash()]) {
          seen[await expectOldOrNew(after, old)] += 1;
          if (call % 25 !== 0) continue;
          const files = filesOn(after);
          const again = { ...depsOf(files), locks: locksOf(files, [2], 2) };
          await restoreRun(BACKUP, RUN, again);
          expect(await expectOldOrNew(after, old)).toBe("new");
        }
      }
      expect(seen.old).toBeGreaterThan(100);
      expect(seen.new).toBeGreaterThan(2);
    },
    90_000,
  );

  it.each(ERRNOS)(
    "whichever single call fails with %s, tells it or has done its work",
    async (errno) => {
      const { disk } = await world(2);
      const old = contentsBelow(disk.contents(), RUN);
      for (let call = 1, left = true; left; call++) {
        const copy = disk.killed();
        const failed = copy.calls + call;
        copy.faults = failAt(failed, errno);
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
    },
    90_000,
  );
});
