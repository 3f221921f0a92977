/** How a run ends early: by signals, by damaged files, by a full disk; and how it goes on then. */
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type Ended,
  equalRows,
  eventsOf,
  latest,
  newFolder,
  readJson,
  readLines,
  run,
  start,
  summaryOf,
} from "./program.ts";

const LONG = ["--json", "--seed", "3", "--epochs", "20000", "--no-growth"];
const isEpoch = (epoch: number) => (event: { kind: string; [field: string]: unknown }) =>
  event.kind === "epoch" && (event["point"] as { epoch: number }).epoch >= epoch;

/** A run that was killed after some checkpoints, with everything still in its folder. */
async function killedRun(): Promise<{ runs: string; directory: string }> {
  const runs = newFolder();
  const running = start(runs, ["--json", "--seed", "3", "--epochs", "700"]);
  await running.event(isEpoch(600));
  running.child.kill("SIGKILL");
  await running.ended;
  return { runs, directory: latest(runs) };
}

/** Turns one byte in the middle of a file over. */
function damage(file: string): void {
  const bytes = fs.readFileSync(file);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = bytes[at]! ^ 0xff;
  fs.writeFileSync(file, bytes);
}

describe("a signal", () => {
  it("SIGTERM ends the run with 143 within 10 s, and it can be resumed", async () => {
    const runs = newFolder();
    const running = start(runs, [...LONG.slice(0, 3), "--epochs", "700", "--no-growth"]);
    await running.event(isEpoch(100));
    const askedMs = performance.now();
    running.child.kill("SIGTERM");
    const ended = await running.ended;
    expect(performance.now() - askedMs).toBeLessThan(10_000);
    expect(ended.code, ended.stderr).toBe(143);
    const summary = summaryOf(ended);
    expect(summary).toMatchObject({ outcome: "stopped" });
    expect(readJson(latest(runs), "manifest.json")).toMatchObject({ status: "stopped" });

    const resumed = await run(runs, ["--json", "--resume", "latest"]);
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(eventsOf(resumed.stdout)[0]!["resumedFromStep"]).toBe(summary["steps"]);
    expect(summaryOf(resumed)).toMatchObject({ outcome: "completed", epochs: 700 });
  });

  it("SIGTERM that comes before training has begun is not forgotten", async () => {
    const runs = newFolder();
    const running = start(runs, LONG);
    await running.event((event) => event.kind === "started");
    running.child.kill("SIGTERM");
    const ended = await running.ended;
    expect(ended.code, ended.stderr).toBe(143);
    expect(ended.stderr).not.toMatch(/not stopped after/);
    expect(summaryOf(ended)).toMatchObject({ outcome: "stopped" });
  });

  it("SIGTERM that comes while the trainer is being restarted is not forgotten", async () => {
    const running = start(newFolder(), [...LONG, "--fault", "kill:tolaria@step:100"]);
    await running.event(
      (event) => event.kind === "notice" && event["message"].startsWith("thread device ended"),
    );
    running.child.kill("SIGTERM");
    const ended = await running.ended;
    expect(ended.code, ended.stderr).toBe(143);
    expect(ended.stderr).not.toMatch(/not stopped after/);
    expect(summaryOf(ended)).toMatchObject({ outcome: "stopped" });
  });

  it("of another kind, after the first, ends the run at once", async () => {
    const running = start(newFolder(), LONG);
    await running.event(isEpoch(20));
    running.child.kill("SIGTERM");
    running.child.kill("SIGINT");
    const ended = await running.ended;
    expect([130, 143]).toContain(ended.code);
    expect(ended.stderr).toMatch(/again: ending at once/);
    expect(eventsOf(ended.stdout).some((event) => event.kind === "finished")).toBe(false);
  });
});

describe("damage found at --resume", () => {
  it("of the newest checkpoint is refused by file and offset; --salvage goes on", async () => {
    const { runs, directory } = await killedRun();
    const folder = path.join(directory, "checkpoints");
    const names = fs
      .readdirSync(folder)
      .filter((name) => name.endsWith(".ckpt"))
      .toSorted();
    const newest = path.join(folder, names.at(-1)!);
    expect(names.length).toBeGreaterThan(1);
    damage(newest);

    const refused = await run(runs, ["--json", "--resume", "latest"]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/^error CHECKPOINT_DIGEST: /);
    expect(refused.stderr).toContain(newest);
    expect(refused.stderr).toMatch(/byte \d+/);
    expect(refused.stderr).toContain("--salvage");
    expect(eventsOf(refused.stdout).at(-1)).toMatchObject({
      kind: "error",
      code: "CHECKPOINT_DIGEST",
      details: { path: newest, offset: expect.any(Number) },
    });

    const salvaged = await run(runs, ["--json", "--resume", "latest", "--salvage"]);
    expect(salvaged.code, salvaged.stderr).toBe(0);
    const before = Number(/(\d+)\.ckpt$/.exec(names.at(-2)!)![1]);
    expect(eventsOf(salvaged.stdout)[0]!["resumedFromStep"]).toBe(before);
    expect(salvaged.stdout).toContain(`passed over ${newest}`);
    expect(fs.existsSync(`${newest}.broken`)).toBe(true);
    expect(summaryOf(salvaged)).toMatchObject({ outcome: "completed", epochs: 700 });
  });

  it("of the write-ahead log is refused by file and offset; --salvage goes on", async () => {
    const { runs, directory } = await killedRun();
    const folder = path.join(directory, "wal");
    const segment = path.join(folder, fs.readdirSync(folder).toSorted()[0]!);
    damage(segment);

    const refused = await run(runs, ["--json", "--resume", "latest"]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/^error WAL_CORRUPT: /m);
    expect(refused.stderr).toContain(segment);
    expect(refused.stderr).toMatch(/\b(byte|offset) \d+/);
    expect(refused.stderr).toContain("--salvage");

    const salvaged = await run(runs, ["--json", "--resume", "latest", "--salvage"]);
    expect(salvaged.code, salvaged.stderr).toBe(0);
    expect(summaryOf(salvaged)).toMatchObject({ outcome: "completed", epochs: 700 });
    const events = readLines(directory, "events.jsonl").map((line) => JSON.parse(line));
    expect(events.filter(({ level }) => level === "CRITICAL")).not.toEqual([]);
  });

  it("of a ledger that is gone is refused by name; --salvage takes no old command", async () => {
    const { runs, directory } = await killedRun();
    const ledger = path.join(directory, "ledger");
    fs.rmSync(ledger, { recursive: true });

    const refused = await run(runs, ["--json", "--resume", "latest"]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/^error WAL_MISSING: /);
    expect(refused.stderr).toContain(`${ledger} cannot be used: the log is missing`);
    expect(refused.stderr).toContain("--salvage");
    expect(fs.existsSync(ledger)).toBe(false);

    const salvaged = await run(runs, ["--json", "--resume", "latest", "--salvage"]);
    expect(salvaged.code, salvaged.stderr).toBe(0);
    expect(salvaged.stdout).toContain(`${ledger}: the log is missing; commands issued before now`);
    const events = readLines(directory, "events.jsonl").map((line) => JSON.parse(line));
    const lost = events.filter(({ name }) => name === "nonce_ledger_lost");
    expect(lost).toMatchObject([{ level: "CRITICAL", source: "ledger" }]);
    const [segment = ""] = fs.readdirSync(ledger);
    expect(fs.readFileSync(path.join(ledger, segment)).includes(path.basename(directory))).toBe(
      true,
    );
  });
});

const mounts: string[] = [];
afterAll(() => {
  for (const mount of mounts) execFileSync("umount", [mount]);
});

/** A small file system of its own, or null where this user may not mount one. */
function smallDisk(size: string): string | null {
  const folder = newFolder();
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder], {
      stdio: "ignore",
    });
  } catch {
    return null;
  }
  mounts.push(folder);
  return folder;
}

const FULL = ["--json", "--seed", "3", "--epochs", "700"];

describe("a full disk", () => {
  const disk = smallDisk("17m");
  let digest: string;
  let rows: readonly string[];

  beforeAll(async () => {
    const runs = newFolder();
    digest = summaryOf(await run(runs, FULL))["digest"] as string;
    rows = equalRows(latest(runs));
  });

  /** Ends with a coded failure, half applies nothing, and goes on like the undisturbed run. */
  async function expectFullThenEqual(runs: string, full: Ended, makeRoom: () => void) {
    expect(full.code, full.stderr).toBe(1);
    expect(full.stderr).toMatch(/^error (STORAGE_FULL|WAL_FULL|STORAGE_FAILED): .*\//m);
    expect(eventsOf(full.stdout).at(-1)).toMatchObject({ kind: "error" });
    makeRoom();
    const resumed = await run(runs, ["--json", "--resume", "latest"]);
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(summaryOf(resumed)).toMatchObject({ outcome: "completed", epochs: 700, digest });
    expect(equalRows(latest(runs))).toEqual(rows);
  }

  it.runIf(disk !== null)("(tmpfs) ends the run; with room it goes on", async () => {
    const running = start(disk!, FULL);
    await running.event(({ kind }) => kind === "started");
    // A run does not begin where there is little room: another program takes it.
    const filler = path.join(disk!, "filler");
    expect(() => {
      for (;;) fs.appendFileSync(filler, new Uint8Array(65_536));
    }).toThrow("ENOSPC");
    await expectFullThenEqual(disk!, await running.ended, () => fs.rmSync(filler));
  });

  it("(file size limit) ends the run; without the limit it goes on", async () => {
    const runs = newFolder();
    await expectFullThenEqual(runs, await run(runs, FULL, "ulimit -f 64"), () => undefined);
  });
});
