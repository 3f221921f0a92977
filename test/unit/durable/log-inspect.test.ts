/** What `wal verify` judges beyond the bytes of records: whether the log itself is all there. */
import { expect, it } from "vitest";
import { describeRecords } from "../../../src/runtime/durable/log-contents.ts";
import { damageOf, verifyLogs } from "../../../src/runtime/durable/log-inspect.ts";
import { removeTree } from "../../../src/runtime/durable/tree.ts";
import { createDurableCommands } from "../../../src/runtime/run/durable-commands.ts";
import { salvageNotices } from "../../../src/runtime/run/log-notices.ts";
import { writeManifest } from "../../../src/runtime/run/manifest.ts";
import { TestClock } from "../../fixtures/context.ts";
import { MemoryFiles } from "../../fixtures/memory-files.ts";
import { manifestOf, plantRun, RUN, RUN_ID } from "../../fixtures/run-on-disk.ts";

type Manifest = ReturnType<typeof manifestOf>;

async function planted(changes: Partial<Manifest> = {}): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  await plantRun(files, { reports: 12 });
  const manifest = { ...manifestOf(), logsBegun: true, ...changes };
  await writeManifest(files, `${RUN}/manifest.json`, manifest);
  return files;
}

function commandsOn(files: MemoryFiles) {
  const deps = { files, clock: new TestClock(), version: "0.1.0" };
  const readClaim = () => ({ kind: "claim", id: "", fields: {} });
  return createDurableCommands({ ...deps, readClaim, ledgerFloor: () => new Uint8Array(1) });
}

const verify = (files: MemoryFiles) =>
  commandsOn(files).verifyLogs({ runsDirectory: "/runs", run: RUN_ID });

async function truncate(files: MemoryFiles, path: string, size: number): Promise<void> {
  const file = await files.open(path, "write");
  await file.truncate(size);
  await file.close();
}

const LAST = `${RUN}/wal/0000000000000011.wal`;
const MARK_BYTES = 56;

it.each(["wal", "ledger"] as const)("a %s that is not there is damage", async (name) => {
  const files = await planted();
  await removeTree(files, `${RUN}/${name}`);
  const { logs } = await verify(files);
  expect(damageOf(logs)).toMatchObject([
    { file: `${RUN}/${name}`, offset: 0, kind: "gap", why: "the log is missing", found: "nothing" },
  ]);
  expect(logs.map((log) => log.name)).toEqual(["wal", "ledger"]);
});

it("both logs that are not there are damage, each", async () => {
  const files = await planted();
  for (const name of ["wal", "ledger"]) await removeTree(files, `${RUN}/${name}`);
  expect(damageOf((await verify(files)).logs)).toHaveLength(2);
});

it.each([true, undefined])("an emptied log is damage where it was begun: %s", async (begun) => {
  const files = await planted({ logsBegun: begun });
  const path = `${RUN}/ledger/0000000000000001.wal`;
  await truncate(files, path, 0);
  const flaws = damageOf((await verify(files)).logs);
  const expected = { file: path, kind: "gap", why: "the log was emptied", found: "empty segments" };
  expect(flaws).toMatchObject(begun === true ? [expected] : []);
});

it("a closed log without its closing mark is suspect, and only then", async () => {
  const files = await planted({ status: "completed" });
  expect((await verify(files)).logs.map(({ doubt }) => doubt)).toEqual([null, null]);
  const { size } = await files.stat(LAST);
  await truncate(files, LAST, size - MARK_BYTES);
  const [wal, ledger] = (await verify(files)).logs;
  expect([wal?.flaws, ledger?.doubt]).toEqual([[], null]);
  expect(wal?.doubt).toContain("records may be missing from its end");
  await writeManifest(files, `${RUN}/manifest.json`, { ...manifestOf(), status: "failed" });
  expect((await verify(files)).logs[0]?.doubt).toBe(null);
});

it("what a salvage put aside is listed", async () => {
  const files = await planted();
  const aside = `${RUN}/wal/0000000000000001.wal.broken`;
  await files.link(LAST, aside);
  const { logs } = await verify(files);
  expect(logs.map((log) => log.aside)).toEqual([[aside], []]);
});

it("a salvage is announced with file, place and what is kept; a sound log is not", async () => {
  const files = await planted();
  expect(await salvageNotices(files, RUN)).toEqual([]);
  await flipIn(files, `${RUN}/wal/0000000000000001.wal`, 300);
  const [notice, ...more] = await salvageNotices(files, RUN);
  expect(notice).toMatch(
    /0000000000000001\.wal is damaged at byte \d+: .*put aside as \*\.broken$/,
  );
  expect(more).toEqual([]);
});

async function flipIn(files: MemoryFiles, path: string, offset: number): Promise<void> {
  const file = await files.open(path, "write");
  const [byte = 0] = await file.read(offset, 1);
  await file.write(Uint8Array.of(byte ^ 8), offset);
  await file.close();
}

it.each([
  [{ from: 1, limit: 5 }, 5, { end: "limit", shown: 5, flaw: null }],
  [{ from: 1, limit: 12 }, 12, { end: "end", shown: 12, lastSequence: 12 }],
  [{ from: 99, limit: 5 }, 0, { end: "end", shown: 0, lastSequence: 12 }],
])("records %j end with why", async (wanted, count, end) => {
  const told = await recordsOf(await planted(), wanted);
  expect(told.slice(0, -1)).toHaveLength(count);
  expect(told.at(-1)).toMatchObject(end);
});

it("records end at damage with its place", async () => {
  const files = await planted();
  await flipIn(files, `${RUN}/wal/0000000000000001.wal`, 300);
  const [last] = (await recordsOf(files, { from: 1, limit: 100 })).slice(-1);
  const [flaw] = damageOf(await verifyLogs(files, RUN));
  expect(last).toMatchObject({ end: "damage", flaw });
});

async function recordsOf(files: MemoryFiles, wanted: { from: number; limit: number }) {
  const told: object[] = [];
  const readClaim = () => ({ kind: "claim", id: "", fields: {} });
  for await (const one of describeRecords(files, RUN, "wal", wanted, readClaim)) told.push(one);
  return told;
}

it("finds the place of a restore where every other command finds a run", async () => {
  const files = await planted();
  const commands = commandsOn(files);
  const target = "/saved";
  await commands.backup({ runsDirectory: "/runs", run: RUN_ID }, target);
  // A folder of this name is in the current directory and none among the runs.
  const here = process.cwd();
  await files.makeDirectory(`${here}/second`);
  const named = await commands.restore(target, { runsDirectory: "/runs", run: "second" });
  expect(named.directory).toBe(`${here}/second`);
  const fresh = await commands.restore(target, { runsDirectory: "/runs", run: "third" });
  expect(fresh.directory).toBe("/runs/third");
});
