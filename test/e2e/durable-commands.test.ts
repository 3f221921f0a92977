/** What an operator does with the logs and checkpoints of a real run, alive, dead and damaged. */
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type Ended, eventsOf, type JsonEvent, latest, newFolder, run, start } from "./program.ts";

/** Long enough that a controller decides, a seed may grow and a checkpoint is written. */
const JOB = ["--json", "--seed", "42", "--epochs", "420"];

let runs: string;
let folder: string;
let backup: string;
/** Where the undisturbed run lies. */
let others: string;
/** What the job ends with when nobody disturbs it. */
let digest: string;

/** The only line of JSON of a command. */
function told(ended: Ended): JsonEvent {
  const [event] = eventsOf(ended.stdout);
  if (event === undefined) throw new Error(`exit ${ended.code}\n${ended.stderr}`);
  return event;
}

const segmentsOf = (directory: string): string[] =>
  fs
    .readdirSync(directory)
    .filter((name) => name.endsWith(".wal"))
    .map((name) => path.join(directory, name));

/** One digest of every name, link and byte below a directory. */
function treeDigest(directory: string): string {
  const hash = createHash("sha256");
  for (const entry of fs.readdirSync(directory, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    hash.update(file);
    if (entry.isFile()) hash.update(fs.readFileSync(file));
    if (entry.isSymbolicLink()) hash.update(fs.readlinkSync(file));
  }
  return hash.digest("hex");
}

function flip(file: string, offset: number): void {
  const bytes = fs.readFileSync(file);
  bytes[offset]! ^= 8;
  fs.writeFileSync(file, bytes);
}

const finalDigest = (ended: Ended): string => {
  const finished = eventsOf(ended.stdout).find(({ kind }) => kind === "finished");
  if (finished === undefined) throw new Error(`exit ${ended.code}\n${ended.stderr}`);
  return finished["summary"].digest as string;
};

/** A copy of the run as it is, to be harmed. */
function copyOf(name: string): string {
  const copy = path.join(newFolder(), name);
  const filter = (file: string): boolean => !file.endsWith("control.sock");
  fs.cpSync(latest(runs), copy, { recursive: true, verbatimSymlinks: true, filter });
  return copy;
}

beforeAll(async () => {
  runs = newFolder();
  folder = newFolder();
  backup = path.join(folder, "saved", "first");
  others = newFolder();
  digest = finalDigest(await run(others, JOB));
  const job = start(runs, JOB);
  await job.event(({ kind, point }) => kind === "epoch" && point.epoch >= 250);
  // It lives, and would be over before the commands have begun.
  job.child.kill("SIGSTOP");
  const saved = await run(runs, ["wal", "backup", "latest", backup, "--json"]);
  const locked = await run(runs, ["wal", "restore", backup, "latest", "--json"]);
  job.child.kill("SIGKILL");
  await job.ended;
  expect(saved.code, saved.stderr).toBe(0);
  expect([locked.code, told(locked)["code"]]).toEqual([2, "RUN_LOCKED"]);
}, 180_000);

describe("a backup of a living run", () => {
  it("is made while the run goes on writing, again and again, and is whole", async () => {
    const busyRuns = newFolder();
    const job = start(busyRuns, ["--json", "--seed", "42", "--epochs", "200000"]);
    await job.event(({ kind, point }) => kind === "epoch" && point.epoch >= 20);
    const verified = told(await run(busyRuns, ["wal", "verify", "latest", "--json"]));
    expect(verified).toMatchObject({ kind: "wal-verify", ok: true, live: true });
    let before = 0;
    for (const name of ["one", "two"]) {
      const target = path.join(folder, name);
      const saved = told(await run(busyRuns, ["wal", "backup", "latest", target, "--json"]));
      const [wal] = saved["logs"] as JsonEvent[];
      expect(wal!["records"]).toBeGreaterThan(before);
      before = wal!["records"] as number;
      expect((await run(busyRuns, ["wal", "verify", target])).code).toBe(0);
    }
    expect(job.child.exitCode).toBe(null);
    job.child.kill("SIGKILL");
    await job.ended;
  });

  it("holds whole logs, and verifies", async () => {
    const verified = await run(runs, ["wal", "verify", backup, "--json"]);
    expect(verified.code, verified.stdout).toBe(0);
    const { logs, backup: manifest } = told(verified);
    expect(manifest).toMatchObject({ format: "esper-backup", version: 1 });
    for (const log of logs as JsonEvent[]) expect(log["flaws"]).toEqual([]);
    expect(logs[0]).toMatchObject({ name: "wal" });
    expect(logs[0].records).toBeGreaterThan(10);
    expect(fs.statSync(path.join(backup, "secret")).mode & 0o777).toBe(0o600);
  });

  it("restored elsewhere, goes on to the digest of a run that was never disturbed", async () => {
    const target = path.join(folder, "moved");
    const restored = await run(runs, ["wal", "restore", backup, target]);
    expect([restored.code, restored.stdout]).toEqual([0, `${target}\n`]);
    const resumed = await run(runs, ["--resume", target, "--json"]);
    expect(finalDigest(resumed)).toBe(digest);
    const again = await run(runs, ["wal", "verify", target]);
    expect(again.code, again.stdout).toBe(0);
  });

  it("refuses a place that is not empty, and changes nothing", async () => {
    const before = treeDigest(folder);
    const refused = await run(runs, ["wal", "backup", "latest", backup]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/^error PLACE_TAKEN: .* expected an empty or a new directory/);
    expect(treeDigest(folder)).toBe(before);
  });

  it("with a flipped bit is refused, naming file, expected and found", async () => {
    const copy = path.join(newFolder(), "copy");
    fs.cpSync(backup, copy, { recursive: true });
    const [file] = segmentsOf(path.join(copy, "wal"));
    flip(file!, 100);
    const target = path.join(newFolder(), "never");
    const refused = await run(runs, ["wal", "restore", copy, target, "--json"]);
    expect([refused.code, fs.existsSync(target)]).toEqual([4, false]);
    expect(told(refused)).toMatchObject({ code: "BACKUP_DAMAGED", details: { path: file } });
    expect((await run(runs, ["wal", "verify", copy])).code).toBe(4);
  });
});

describe("a killed run", () => {
  it("shows what its logs hold", async () => {
    const text = await run(runs, ["wal", "inspect", "latest"]);
    expect(text.code, text.stderr).toBe(0);
    expect(text.stdout).toMatch(/^wal +\d+ +[\d,]+ +[\d,]+ /m);
    expect(text.stdout).toMatch(/^wal: report NEUTRAL \d+/m);
    const flags = ["--records", "--from", "2", "--limit", "3", "--json"];
    const records = await run(runs, ["wal", "inspect", "latest", ...flags]);
    const reports = eventsOf(records.stdout).filter(({ log }) => log === "wal");
    expect(reports.map(({ sequence }) => sequence)).toEqual([2, 3, 4]);
    expect(reports[0]!["says"][0]).toMatchObject({ kind: "report", fields: { version: 1 } });
  });

  it("lists, verifies and compares its checkpoints", async () => {
    const list = told(await run(runs, ["checkpoint", "ls", "latest", "--json"]));
    const steps = (list["checkpoints"] as JsonEvent[]).map(({ step }) => step as number);
    expect(steps.length).toBeGreaterThan(0);
    expect(steps).toEqual([...steps].sort((left, right) => right - left));
    const verified = await run(runs, ["checkpoint", "verify", "latest"]);
    expect(verified.code, verified.stdout).toBe(0);
    const saved = fs.readdirSync(path.join(backup, "checkpoints"));
    const file = path.join(backup, "checkpoints", saved[0]!);
    const same = told(await run(runs, ["checkpoint", "diff", file, file, "--json"]));
    expect(same).toMatchObject({ identical: true, arrays: [], meta: [] });
    const copy = path.join(newFolder(), saved[0]!);
    fs.copyFileSync(file, copy);
    flip(copy, fs.statSync(copy).size - 200);
    const damaged = await run(runs, ["checkpoint", "verify", copy, "--json"]);
    expect(damaged.code).toBe(4);
    const [verdict] = told(damaged)["checkpoints"] as JsonEvent[];
    expect(verdict).toMatchObject({ path: copy, ok: false });
    expect(verdict!["flaw"].offset).toBeTypeOf("number");
  });

  it("with a flipped bit is named, refused, repaired, kept aside, and goes on", async () => {
    const broken = copyOf("broken");
    const [file] = segmentsOf(path.join(broken, "wal"));
    flip(file!, Math.floor(fs.statSync(file!).size / 2));
    const before = treeDigest(broken);
    const verified = await run(runs, ["wal", "verify", broken, "--json"]);
    expect([verified.code, treeDigest(broken)]).toEqual([4, before]);
    const [flaw] = told(verified)["logs"][0].flaws as JsonEvent[];
    expect(flaw).toMatchObject({ file, kind: "damaged" });
    expect(flaw!["expected"]).not.toBe(flaw!["found"]);
    const refused = await run(runs, ["wal", "backup", broken, path.join(newFolder(), "x")]);
    expect(refused.code).toBe(4);
    expect(refused.stderr).toMatch(/^error LOG_DAMAGED: /);

    const repaired = told(await run(runs, ["wal", "restore", "--repair", broken, "--json"]));
    expect(repaired).toMatchObject({ kind: "wal-repair", directory: broken });
    expect(repaired["logs"][0].records).toBeGreaterThan(3);
    expect(fs.existsSync(path.join(repaired["replaced"], "wal"))).toBe(true);
    expect((await run(runs, ["wal", "verify", broken])).code).toBe(0);
    const resumed = await run(runs, ["--resume", broken, "--json"]);
    expect(finalDigest(resumed)).toBe(digest);
  });
});

describe("what is not a sound log", () => {
  it.each<[string, (wal: string, segment: string) => void]>([
    [
      "a link that leads out of the run",
      (_wal, segment) => {
        fs.renameSync(segment, `${segment}.moved`);
        fs.symlinkSync(`${segment}.moved`, segment);
      },
    ],
    [
      "a directory in place of a file",
      (_wal, segment) => {
        fs.rmSync(segment);
        fs.mkdirSync(segment);
      },
    ],
    [
      "a file in place of a directory",
      (wal) => {
        fs.rmSync(wal, { recursive: true });
        fs.writeFileSync(wal, "x");
      },
    ],
    [
      "the log of another run",
      (wal) => {
        fs.rmSync(wal, { recursive: true });
        fs.cpSync(path.join(latest(others), "wal"), wal, { recursive: true });
      },
    ],
  ])("%s is named and never repaired by force", async (_what, harm) => {
    const broken = copyOf("odd");
    const wal = path.join(broken, "wal");
    harm(wal, segmentsOf(wal)[0]!);
    const before = treeDigest(broken);
    const verified = await run(runs, ["wal", "verify", broken, "--json"]);
    expect(verified.code).toBe(4);
    const [flaw] = told(verified)["logs"][0].flaws as JsonEvent[];
    expect(flaw!["file"]).toContain(wal);
    for (const field of ["offset", "expected", "found"]) expect(flaw).toHaveProperty(field);
    const backedUp = await run(runs, ["wal", "backup", broken, path.join(newFolder(), "x")]);
    expect(backedUp.stderr).toMatch(/^error (LOG_DAMAGED|RUN_LAYOUT|WAL_FOREIGN): /);
    expect(backedUp.stderr).toContain(wal);
    const repaired = await run(runs, ["wal", "restore", "--repair", broken]);
    expect(repaired.stderr).toMatch(/^error (LOG_DAMAGED|RUN_LAYOUT|STORAGE_FAILED): /);
    expect(treeDigest(broken)).toBe(before);
  });

  it.each(["wal", "ledger"])(
    "a %s that was removed is named, and begun anew by a repair",
    async (name) => {
      const broken = copyOf("bare");
      fs.rmSync(path.join(broken, name), { recursive: true });
      const verified = await run(runs, ["wal", "verify", broken]);
      expect(verified.code).toBe(4);
      expect(verified.stdout).toContain(`${path.join(broken, name)} at byte 0: the log is missing`);
      const target = path.join(newFolder(), "x");
      const refused = await run(runs, ["wal", "backup", broken, target]);
      expect([refused.code, fs.existsSync(target)]).toEqual([4, false]);
      expect((await run(runs, ["wal", "restore", "--repair", broken])).code).toBe(0);
      expect((await run(runs, ["wal", "verify", broken])).code).toBe(0);
    },
  );

  it("a closed log that was cut at a record is suspect", async () => {
    const cut = path.join(newFolder(), "cut");
    fs.cpSync(latest(others), cut, { recursive: true, verbatimSymlinks: true });
    expect((await run(runs, ["wal", "verify", cut, "--quiet"])).stdout).toBe("sound\n");
    const file = segmentsOf(path.join(cut, "wal")).at(-1)!;
    fs.truncateSync(file, fs.statSync(file).size - 56);
    const verified = await run(runs, ["wal", "verify", cut, "--quiet"]);
    expect([verified.code, verified.stdout]).toEqual([4, "suspect\n"]);
  });

  it("a backup is never mended, and a place that cannot be is refused as such", async () => {
    const before = treeDigest(backup);
    const mended = await run(runs, ["wal", "restore", "--repair", backup]);
    expect([mended.code, treeDigest(backup)]).toEqual([2, before]);
    expect(mended.stderr).toMatch(/^error BACKUP_INVALID: .* is a backup and is not repaired/);
    for (const place of ["/proc/saved", path.join(backup, "backup.json", "below")]) {
      const refused = await run(runs, ["wal", "backup", "latest", place]);
      expect([refused.code, refused.stderr.split(":")[0]]).toEqual([2, "error PLACE_UNUSABLE"]);
    }
  });

  it("a run or a backup that is not there is said to be missing", async () => {
    expect((await run(runs, ["wal", "verify", "nowhere"])).stderr).toContain("RUN_NOT_FOUND");
    const restored = await run(runs, ["wal", "restore", newFolder(), path.join(folder, "no")]);
    expect(restored.code).toBe(3);
    expect(restored.stderr).toContain("BACKUP_MISSING");
    expect(fs.existsSync(path.join(folder, "no"))).toBe(false);
  });
});

it("wal soak that is interrupted says so and exits as the signal does", async () => {
  const soaking = start(runs, ["wal", "soak", "--seconds", "50", "--json"]);
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  soaking.child.kill("SIGINT");
  const ended = await soaking.ended;
  expect(ended.code, ended.stderr).toBe(130);
  expect(told(ended)).toMatchObject({ kind: "wal-soak", ok: true, interrupted: true });
});

it("wal soak kills real writers and finds every promise kept", async () => {
  const directory = path.join(newFolder(), "soak");
  const flags = ["--kills", "8", "--seconds", "40", "--seed", "3", "--directory", directory];
  const soaked = await run(runs, ["wal", "soak", ...flags, "--json"]);
  expect(soaked.code, `${soaked.stdout}${soaked.stderr}`).toBe(0);
  const report = told(soaked);
  expect(report).toMatchObject({ kind: "wal-soak", ok: true, kills: 8, seed: 3, directory });
  expect(report["acknowledged"]).toBeGreaterThan(100);
  expect(segmentsOf(path.join(directory, "wal")).length).toBeGreaterThan(0);
  const again = await run(runs, ["wal", "soak", "--kills", "1", "--directory", directory]);
  expect(again.code).toBe(2);
  expect(again.stderr).toContain("PLACE_TAKEN");
});
