/**
 * A run's directory in which something is wrong: each case of the corpus is refused by name, with
 * what was expected and what was found, and not a byte, name or link of the directory changes.
 */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NonceLedger } from "../../../src/actors/ledger/nonce-ledger.ts";
import { EsperError } from "../../../src/protocols/errors.ts";
import { systemFiles as files } from "../../../src/runtime/durable/files.ts";
import { type RunLogName, runLogId } from "../../../src/runtime/durable/log-owner.ts";
import { Wal } from "../../../src/runtime/durable/wal.ts";
import { requireLogs } from "../../../src/runtime/run/lost-logs.ts";
import { createRun, openRun } from "../../../src/runtime/run/run-dir.ts";
import { TestClock } from "../../fixtures/context.ts";
import { type Damage, damageRun, snapshotOf } from "./bad-input-damage.ts";
import { runRequest } from "./bad-input-run.ts";

interface Case {
  readonly name: string;
  readonly when: string;
  readonly damage: readonly Damage[];
  readonly code: string;
  readonly file: string;
  readonly offset?: number | "any";
  readonly expected?: string;
  readonly found?: string;
  readonly message?: string;
}

const corpus = JSON.parse(
  fs.readFileSync(new URL("../../corpus/durable/run-directories.json", import.meta.url), "utf8"),
) as readonly Case[];

const root = fs.mkdtempSync(path.join(os.tmpdir(), "esper-bad-input-"));
const pristine = path.join(root, "runs");
const clock = new TestClock();
let runId = "";
let otherId = "";

const openLedger = (directory: string, id: string, salvage = false) =>
  NonceLedger.open({
    ...{ files, directory, runId: id, clock, salvage },
    ...{ capacity: 64, freshnessMs: 60_000, ttlMs: 65_000, tell: () => undefined },
  });

const openLog = (directory: string, id: string, salvage = false) =>
  Wal.open({ files, directory, salvage, logId: runLogId(id, "wal") });

/** A run as a stopped process leaves it. */
async function makeRun(): Promise<string> {
  const { run, lock } = await createRun({ ...runRequest(pristine), files, clock });
  const log = await openLog(run.paths.wal, run.runId);
  for (const text of ["one", "two", "three"]) {
    const payload = new TextEncoder().encode(text);
    await log.append({ timeMs: clock.wallMs, payload });
  }
  await log.close();
  const ledger = await openLedger(run.paths.ledger, run.runId);
  for (const counter of [1, 2, 3]) {
    const commandId = `${run.runId}/1/${counter}`;
    await ledger.claim({ commandId, issuedAtMs: clock.wallMs, attempt: "" });
  }
  await ledger.close();
  for (const step of [10, 20]) {
    const arrays = { weights: Float32Array.from({ length: 64 }, (_, index) => index / step) };
    await run.checkpoints.save(step, { meta: { step }, arrays }, { nowMs: clock.wallMs });
  }
  await run.update({ status: "stopped" });
  await lock.release();
  return run.runId;
}

beforeAll(async () => {
  runId = await makeRun();
  clock.wallMs += 1_000;
  otherId = await makeRun();
});
afterAll(() => fs.rmSync(root, { recursive: true }));

const closing = async (log: { close(): Promise<void> }): Promise<void> => log.close();

const ACTIONS: Readonly<Record<string, (runs: string) => Promise<unknown>>> = {
  open: (runs) => openRun(files, runs, runId),
  lock: async (runs) => (await openRun(files, runs, runId)).lock(),
  wal: async (runs) => closing(await openLog(path.join(runs, runId, "wal"), runId)),
  "wal-salvage": async (runs) => closing(await openLog(path.join(runs, runId, "wal"), runId, true)),
  ledger: async (runs) => closing(await openLedger(path.join(runs, runId, "ledger"), runId)),
  "ledger-salvage": async (runs) =>
    closing(await openLedger(path.join(runs, runId, "ledger"), runId, true)),
  resume: async (runs) => requireLogs(files, await openRun(files, runs, runId)),
  "resume-salvage": async (runs) => (await openRun(files, runs, runId)).checkpoints.latestGood(),
  checkpoint: async (runs) => {
    const { damaged, good } = await (await openRun(files, runs, runId)).checkpoints.latestGood();
    // The damaged one never shadows the good one before it.
    expect(good?.step).toBe(10);
    throw damaged[0]?.error;
  },
};

/** Folders of a run that is fit for use, with the named damage done to it. */
function copyWith(damage: readonly Damage[]): { runs: string; directory: string } {
  const place = fs.mkdtempSync(path.join(root, "case-"));
  const runs = path.join(place, "runs");
  fs.cpSync(pristine, runs, { recursive: true, verbatimSymlinks: true });
  const outside = path.join(place, "outside");
  fs.mkdirSync(path.join(outside, "folder"), { recursive: true });
  fs.writeFileSync(path.join(outside, "file"), "of somebody else");
  const directory = path.join(runs, runId);
  damageRun(damage, { directory, outside, other: path.join(runs, otherId) });
  return { runs, directory };
}

async function thrownBy(work: Promise<unknown>): Promise<EsperError> {
  const error = await work.then(
    () => new Error("nothing was refused"),
    (thrown: unknown) => thrown,
  );
  if (!EsperError.is(error)) throw error;
  return error;
}

describe("a run's directory", () => {
  it("that is whole is taken by every check of the corpus", async () => {
    const { runs } = copyWith([]);
    for (const [name, action] of Object.entries(ACTIONS)) {
      if (name === "checkpoint") continue;
      await action(runs);
    }
    const names: readonly RunLogName[] = ["wal", "ledger"];
    expect(fs.readdirSync(path.join(runs, runId))).toEqual(expect.arrayContaining([...names]));
  });

  it.each(corpus)("is refused unchanged when $name", async (given) => {
    const { runs, directory } = copyWith(given.damage);
    const action = ACTIONS[given.when];
    if (action === undefined) throw new Error(`no action ${given.when}`);
    const before = snapshotOf(path.dirname(runs));
    const { code, message, details } = await thrownBy(action(runs));
    expect(`${code}: ${message}`).toMatch(new RegExp(`^${given.code}: `));
    const where = path.join(directory, given.file);
    expect(details["file"] ?? details["path"]).toBe(where);
    expect(message).toContain(where);
    if (given.offset === "any") expect(details["offset"]).toEqual(expect.any(Number));
    else if (given.offset !== undefined) expect(details["offset"]).toBe(given.offset);
    for (const key of ["expected", "found"] as const) {
      if (given[key] !== undefined) expect(String(details[key])).toMatch(new RegExp(given[key]));
    }
    if (given.message !== undefined) expect(message).toMatch(new RegExp(given.message));
    expect(snapshotOf(path.dirname(runs))).toEqual(before);
  });
});
