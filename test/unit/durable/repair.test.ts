import { describe, expect, it } from "vitest";
import { crc32c } from "../../../src/runtime/durable/crc32c.ts";
import type { Files } from "../../../src/runtime/durable/files.ts";
import { damageOf, verifyLogs } from "../../../src/runtime/durable/log-inspect.ts";
import { removeTree } from "../../../src/runtime/durable/tree.ts";
import { writeManifest } from "../../../src/runtime/run/manifest.ts";
import { knownRun, repairRun } from "../../../src/runtime/run/restore-run.ts";
import {
  ASIDE,
  BACKUP,
  depsOf,
  flip,
  floorOf,
  recordsIn,
  refusedUnchanged,
  repair,
  world,
} from "../../fixtures/restore-world.ts";
import {
  contentsBelow,
  manifestOf,
  NOW_MS,
  plantRun,
  RUN,
  RUN_ID,
} from "../../fixtures/run-on-disk.ts";

async function emptied(files: Files, log: string): Promise<void> {
  for (const name of await files.list(log)) await files.remove(`${log}/${name}`);
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
    expect(
      (await verifyLogs(files, RUN, knownRun(manifestOf(), false))).flatMap(({ flaws }) => flaws),
    ).toEqual([]);
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

  it("through a link mends what the link leads to, and never moves the link", async () => {
    const { disk, files } = await world(25);
    await files.symlink(RUN_ID, "/runs/link");
    flip(disk, `${RUN}/wal/0000000000000011.wal`, 130);
    const repaired = await repairRun("/runs/link", depsOf(files));
    expect(repaired).toMatchObject({ directory: RUN, replaced: ASIDE });
    expect(await files.readLink("/runs/link")).toBe(RUN_ID);
  });

  it("refuses a backup: mended, it would pass for a sound one", async () => {
    const found = await world();
    flip(found.disk, `${BACKUP}/wal/0000000000000001.wal`, 130);
    const deps = depsOf(found.files);
    const error = await refusedUnchanged(found, () => repairRun(BACKUP, deps));
    expect(error.code).toBe("BACKUP_INVALID");
    expect(error.details).toMatchObject({ path: `${BACKUP}/backup.json` });
  });

  it.each([
    ["was removed", "wal", async (files: Files, log: string) => removeTree(files, log)],
    ["was removed", "ledger", async (files: Files, log: string) => removeTree(files, log)],
    ["lost all its segments", "wal", emptied],
    ["lost all its segments", "ledger", emptied],
  ] as const)("begins a log anew that %s (%s), and names it", async (_how, name, harm) => {
    const { files } = await world();
    const manifest = { ...manifestOf(RUN_ID, 9), logsBegun: true };
    await writeManifest(files, `${RUN}/manifest.json`, manifest);
    await harm(files, `${RUN}/${name}`);
    const known = knownRun(manifest, false);
    const before = damageOf(await verifyLogs(files, RUN, known));
    expect(before).toMatchObject([{ file: `${RUN}/${name}`, offset: 0, kind: "gap" }]);
    const repaired = await repair(files);
    expect(repaired.damage).toEqual(before);
    expect(damageOf(await verifyLogs(files, RUN, known))).toEqual([]);
    expect(await floorOf(files, RUN)).toBe(name === "ledger" ? NOW_MS + 1_000_000 : 0);
    const kept = new Map<string, number>(await recordsIn(files, RUN));
    expect(kept.get(name)).toBe(name === "ledger" ? 1 : 0);
  });

  it("of a log cut back to nothing leaves one that does not count as emptied", async () => {
    const { disk, files } = await world(5);
    const manifest = { ...manifestOf(RUN_ID, 9), logsBegun: true };
    await writeManifest(files, `${RUN}/manifest.json`, manifest);
    flip(disk, `${RUN}/wal/0000000000000001.wal`, 60);
    await repair(files);
    const logs = await verifyLogs(files, RUN, knownRun(manifest, false));
    expect(logs).toMatchObject([{ name: "wal", records: 0, flaws: [] }, { name: "ledger" }]);
  });

  it("refuses a file that never was a log, and says what helps", async () => {
    const found = await world(5);
    const path = `${RUN}/wal/0000000000000001.wal`;
    found.disk.plantFile(path, new TextEncoder().encode("hello, world\n".repeat(40)));
    const error = await refusedUnchanged(found, () => repair(found.files));
    expect(error.code).toBe("LOG_DAMAGED");
    expect(error.details).toMatchObject({
      ...{ file: path, offset: 0, why: "the file is not a log of this program" },
      ...{ expected: "bytes 4557414c (EWAL)", found: "bytes 68656c6c" },
    });
    expect(error.message).toContain("put the run's own log back");
    expect(error.message).not.toContain("--repair");
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
