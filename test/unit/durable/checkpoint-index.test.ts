/** The index of checkpoints: its format for ever, and what a look at every byte leaves in it. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { describeClaim, ledgerFloor } from "../../../src/actors/ledger/for-operators.ts";
import {
  type CheckpointVerdict,
  verifyCheckpoint,
} from "../../../src/runtime/durable/checkpoint-file.ts";
import {
  listCheckpoints,
  rememberVerdicts,
} from "../../../src/runtime/durable/checkpoint-index.ts";
import { CheckpointStore } from "../../../src/runtime/durable/checkpoint-store.ts";
import { createDurableCommands } from "../../../src/runtime/run/durable-commands.ts";
import { runPaths } from "../../../src/runtime/run/run-dir.ts";
import { sample } from "../../fixtures/checkpoints.ts";
import { TestClock } from "../../fixtures/context.ts";
import { MemoryFiles } from "../../fixtures/memory-files.ts";
import { plantRun, RUN, RUN_ID } from "../../fixtures/run-on-disk.ts";

const DIRECTORY = runPaths(RUN).checkpoints;
const INDEX = `${DIRECTORY}/index.json`;
const pathOf = (step: number): string => `${DIRECTORY}/step-${String(step).padStart(12, "0")}.ckpt`;
const textOf = (files: MemoryFiles): string => new TextDecoder().decode(files.bytes(INDEX));

/** Turns a bit of the arrays over, between the ends that a list looks at. */
function damage(files: MemoryFiles, step: number): void {
  const bytes = files.bytes(pathOf(step)).slice();
  bytes[bytes.byteLength - 33 - 8]! ^= 1;
  files.putBytes(pathOf(step), bytes);
}

const ends = async (files: MemoryFiles) =>
  (await listCheckpoints(files, DIRECTORY)).map(({ step, verifiedMs, flaw }) => {
    return { step, verifiedMs, flaw };
  });

describe("the index", () => {
  const url = new URL("../../golden/checkpoint-index-v1.json", import.meta.url);
  const { index } = JSON.parse(readFileSync(url, "utf8")) as { readonly index: string };

  const filled = async (): Promise<MemoryFiles> => {
    const files = new MemoryFiles();
    const store = new CheckpointStore(files, DIRECTORY);
    await store.save(10, sample(10), { nowMs: 1_767_225_600_010 });
    await store.save(20, sample(20), { nowMs: 1_767_225_600_020.5, final: true });
    return files;
  };

  it("is written as it ever was", async () => {
    expect(textOf(await filled())).toBe(index);
  });

  it("of every format is read", async () => {
    const files = await filled();
    await files.remove(INDEX);
    expect(await ends(files)).toMatchObject([{ verifiedMs: null }, { verifiedMs: null }]);
    files.putBytes(INDEX, new TextEncoder().encode(index));
    expect(await ends(files)).toEqual([
      { step: 20, verifiedMs: 1_767_225_600_020.5, flaw: null },
      { step: 10, verifiedMs: 1_767_225_600_010, flaw: null },
    ]);
  });
});

describe("what a look at every byte has found", () => {
  const verified = async (files: MemoryFiles, nowMs: number) => {
    const verdicts: CheckpointVerdict[] = [];
    for (const step of [20, 10]) verdicts.push(await verifyCheckpoint(files, pathOf(step)));
    await rememberVerdicts(files, DIRECTORY, verdicts, nowMs);
  };

  it("is told by the list, until the file is put back", async () => {
    const files = new MemoryFiles();
    await plantRun(files);
    const healthy = files.bytes(pathOf(20)).slice();
    damage(files, 20);
    await verified(files, 77);
    const why = expect.stringContaining('the digest of the array "w"');
    expect(await ends(files)).toEqual([
      { step: 20, verifiedMs: null, flaw: why },
      { step: 10, verifiedMs: 77, flaw: null },
    ]);
    files.putBytes(pathOf(20), healthy);
    const stat = files.stat.bind(files);
    files.stat = async (path) => ({ ...(await stat(path)), modifiedMs: 1_767_225_700_000 });
    expect(await ends(files)).toMatchObject([{ verifiedMs: null, flaw: null }, { step: 10 }]);
    await verified(files, 78);
    expect(await ends(files)).toMatchObject([{ verifiedMs: 78, flaw: null }, { step: 10 }]);
  });

  it("counts for more than what the store once wrote", async () => {
    const files = new MemoryFiles();
    const store = new CheckpointStore(files, DIRECTORY);
    await store.save(10, sample(10), { nowMs: 10 });
    await store.save(20, sample(20), { nowMs: 20 });
    damage(files, 20);
    await verified(files, 77);
    expect((await store.list())[0]).toMatchObject({ step: 20, verifiedMs: null });
    await store.save(30, sample(30), { nowMs: 30 });
    expect(await ends(files)).toMatchObject([
      { step: 30, verifiedMs: 30 },
      { step: 20, verifiedMs: null, flaw: expect.stringContaining("digest") },
      { step: 10, flaw: null },
    ]);
  });
});

describe("`checkpoint verify`", () => {
  const clock = new TestClock();
  const ref = { runsDirectory: "/runs", run: RUN_ID };
  const commandsOn = (files: MemoryFiles) =>
    createDurableCommands({
      ...{ files, clock, version: "0", readClaim: describeClaim, ledgerFloor },
    });

  it("leaves its verdicts to the list, but changes no backup and no full disk's run", async () => {
    const files = new MemoryFiles();
    await plantRun(files);
    damage(files, 20);
    files.fault = (operation) => (operation === "write" ? "ENOSPC" : null);
    const before = textOf(files);
    const { checkpoints } = await commandsOn(files).verifyCheckpoints(ref);
    expect(checkpoints.map(({ ok }) => ok)).toEqual([false, true]);
    expect(textOf(files)).toBe(before);
    files.fault = () => null;
    files.putBytes(`${RUN}/backup.json`, new Uint8Array(2));
    await commandsOn(files).verifyCheckpoints(ref);
    expect(textOf(files)).toBe(before);
    await files.remove(`${RUN}/backup.json`);
    await commandsOn(files).verifyCheckpoints(ref);
    const listed = await commandsOn(files).listCheckpoints(ref);
    expect(listed.checkpoints).toMatchObject([
      { step: 20, verifiedMs: null, flaw: expect.stringContaining("digest") },
      { step: 10, verifiedMs: clock.wallMs, flaw: null },
    ]);
  });
});
