/** `wal ...`: what is asked for, what is said, and with which exit code. */
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import type { DurableDeps, LogsContents } from "../../../src/runtime/cli/durable-deps.ts";
import type { BackupManifest } from "../../../src/runtime/durable/backup-layout.ts";
import type { RecordsEnd } from "../../../src/runtime/durable/log-contents.ts";
import type { RunLogReport } from "../../../src/runtime/durable/log-inspect.ts";
import type { LogFlaw } from "../../../src/runtime/durable/wal-verify.ts";
import type { Repaired } from "../../../src/runtime/run/restore-run.ts";
import { CancellationToken } from "../../../src/runtime/token.ts";
import { type Outcome, type, UNUSED_DURABLE, words } from "./console.ts";

const WAL = "/r/one/wal/0000000000000001.wal";
const segment = {
  ...{ file: WAL, firstSequence: 1, records: 2, bytes: 2_048 },
  ...{ oldestTimeMs: 1_767_225_600_000, newestTimeMs: 1_767_225_601_500 },
};
const log: RunLogReport = {
  ...{ name: "wal" as const, directory: "/r/one/wal", logId: "00ff", formatVersions: [2] },
  ...{ segments: [segment], records: 2, bytes: 2_048, lastSequence: 2, flaws: [] },
  ...{ aside: [], doubt: null },
};
const flaw = (kind: LogFlaw["kind"]): LogFlaw => ({
  ...{ file: WAL, offset: 1_234, kind, why: "the checksum does not match" },
  ...{ expected: "checksum 1", found: "checksum 2" },
});
const lane = { lane: "bulk", records: 2, capacity: 16_384, fill: 0.25, dead: 1 } as const;
const FOUND: LogsContents = {
  ...{ directory: "/r/one", live: false, backup: null, logs: [log], restored: null },
  contents: [{ name: "wal", kinds: { "report NEUTRAL": 2 }, lanes: [lane] }],
};
const withFlaw = (kind: LogFlaw["kind"]): LogsContents => ({
  ...FOUND,
  logs: [{ ...log, flaws: [flaw(kind)] }],
});

/** Runs one command line with some of the commands on logs answered. */
async function run(line: string, durable: Partial<DurableDeps> = {}): Promise<Outcome> {
  return type(words(`${line} --runs /r`), { durable: { ...UNUSED_DURABLE, ...durable } });
}

describe("wal verify", () => {
  test("says that a log is sound, and exits with 0", async () => {
    const asked: unknown[] = [];
    const verifyLogs: DurableDeps["verifyLogs"] = async (ref) => {
      asked.push(ref);
      return FOUND;
    };
    const outcome = await run("wal verify one", { verifyLogs });
    expect(asked).toEqual([{ runsDirectory: "/r", run: "one" }]);
    expect(outcome.stdout.split("\n")).toEqual([
      "/r/one",
      "LOG  SEGMENTS  RECORDS  LAST  SIZE     OLDEST (UTC)             " +
        "NEWEST (UTC)             STATE",
      "wal  1         2        2     2.0 KiB  2026-01-01 00:00:00.000  " +
        "2026-01-01 00:00:01.500  sound",
      "",
      "sound: every record that is there is intact",
      "",
    ]);
    expect([outcome.code, outcome.stderr]).toEqual([0, ""]);
  });

  test("names damage with file, offset, expected and found, and exits with 4", async () => {
    const outcome = await run("wal verify one", { verifyLogs: async () => withFlaw("damaged") });
    expect(outcome.stdout).toContain(`${WAL} at byte 1,234: the checksum does not match\n`);
    expect(outcome.stdout).toContain("  expected  checksum 1\n  found     checksum 2\n");
    expect(outcome.stdout).toContain("wal restore --repair /r/one");
    expect(outcome.code).toBe(4);
    const json = await run("wal verify one --json", { verifyLogs: async () => withFlaw("gap") });
    expect(JSON.parse(json.stdout)).toMatchObject({
      kind: "wal-verify",
      ok: false,
      damage: 1,
      logs: [{ flaws: [{ file: WAL, offset: 1_234, kind: "gap" }] }],
    });
    expect(json.code).toBe(4);
  });

  test("an unfinished write is no damage, whoever is writing", async () => {
    for (const live of [true, false]) {
      const verifyLogs = async () => ({ ...withFlaw("torn"), live });
      const outcome = await run("wal verify one", { verifyLogs });
      expect(outcome.code).toBe(0);
      expect(outcome.stdout).toContain(
        live ? "a write is under way" : "the next start cuts it off",
      );
    }
  });

  test("what a salvage put aside and where a run came from is told beside it", async () => {
    const aside = ["/r/one/wal/0000000000000001.wal.broken"];
    const restoredAt = "2026-01-02T00:00:00.000Z";
    const restored = {
      version: 1,
      runId: "one",
      restoredAt,
      from: "/b",
      replaced: "/r/old",
    } as const;
    const verifyLogs = async () => ({ ...FOUND, logs: [{ ...log, aside }], restored });
    const outcome = await run("wal verify one", { verifyLogs });
    expect(outcome.stdout).toContain(`put aside by a salvage: ${aside[0]}\n`);
    expect(outcome.stdout).toContain(
      `restored at ${restoredAt} from /b; what was there before is kept in /r/old\n`,
    );
    expect(outcome.code).toBe(0);
  });

  test("a log that may have lost its end is suspect, and exits with 4", async () => {
    const verifyLogs = async () => ({ ...FOUND, logs: [{ ...log, doubt: "it is not closed" }] });
    const outcome = await run("wal verify one", { verifyLogs });
    expect(outcome.stdout).toContain(
      "wal: it is not closed\n\nsuspect: every record that is there",
    );
    expect(outcome.code).toBe(4);
    expect((await run("wal verify one --quiet", { verifyLogs })).stdout).toBe("suspect\n");
    const json = JSON.parse((await run("wal verify one --json", { verifyLogs })).stdout);
    expect(json).toMatchObject({ ok: false, verdict: "suspect", damage: 0 });
  });

  test.each<[LogFlaw["kind"], number, string | null]>([
    ["damaged", 0, null],
    ["gap", 0, null],
    ["foreign", 1_234, null],
    ["foreign", 0, `move ${WAL} away and put the run's own log back`],
    ["version", 1_234, "use the version of the program that wrote it"],
    ["not-a-file", 0, `put the run's own log back in the place of ${WAL}`],
  ])("damage of kind %s at %i gets advice that is not refused", async (kind, offset, help) => {
    const logs = [{ ...log, flaws: [{ ...flaw(kind), offset }] }];
    const outcome = await run("wal verify one", { verifyLogs: async () => ({ ...FOUND, logs }) });
    expect(outcome.stdout.includes("--repair")).toBe(help === null);
    if (help !== null) expect(outcome.stdout).toContain(help);
    expect(outcome.code).toBe(4);
  });

  test("--json gives an empty segment no times", async () => {
    const segments = [{ ...segment, records: 0, oldestTimeMs: 0, newestTimeMs: 0 }, segment];
    const verifyLogs = async () => ({ ...FOUND, logs: [{ ...log, segments }] });
    const json = JSON.parse((await run("wal verify one --json", { verifyLogs })).stdout);
    const times = [{ oldestTimeMs: null, newestTimeMs: null }, { newestTimeMs: 1_767_225_601_500 }];
    expect(json.logs[0].segments).toMatchObject(times);
  });

  test("--quiet leaves one word", async () => {
    const outcome = await run("wal verify one --quiet", { verifyLogs: async () => FOUND });
    expect(outcome.stdout).toBe("sound\n");
  });

  test("a run without logs is something missing", async () => {
    const missing = new EsperError("NOTHING_STORED", "no log", {});
    const outcome = await run("wal verify one", { verifyLogs: () => Promise.reject(missing) });
    expect([outcome.code, outcome.stderr]).toEqual([3, "error NOTHING_STORED: no log\n"]);
  });
});

describe("wal inspect", () => {
  test("shows logs, kinds and what waits", async () => {
    const outcome = await run("wal inspect one", { inspectLogs: async () => FOUND });
    expect(outcome.stdout.split("\n").slice(3)).toEqual([
      "",
      "wal: report NEUTRAL 2",
      "lane bulk: 2 of 16,384 wait to be sent (25 % full); 1 given up",
      "",
    ]);
    expect(outcome.code).toBe(0);
  });

  test("--records shows each record, made printable, as text or as JSON lines", async () => {
    const asked: unknown[] = [];
    const readRecords: DurableDeps["readRecords"] = async function* (_ref, wanted) {
      asked.push(wanted);
      const fields = { outcome: "NEUTRAL", notes: "", metrics: { loss: 0.5 }, odd: "\u001b[2J" };
      const says = [{ kind: "report", id: "report/1", fields }];
      yield { log: "wal", sequence: 7, timeMs: 1_767_225_600_000, bytes: 90, says };
    };
    const outcome = await run("wal inspect one --records --from 7 --limit 1", { readRecords });
    expect(asked).toEqual([{ from: 7, limit: 1 }]);
    expect(outcome.stdout).toBe(
      "wal 7  2026-01-01 00:00:00.000  90 B\n" +
        '  report  report/1  outcome=NEUTRAL  metrics={"loss":0.5}  odd=\\u{1b}[2J\n',
    );
    const json = await run("wal inspect one --records --json", { readRecords });
    expect(JSON.parse(json.stdout)).toMatchObject({ kind: "wal-record", log: "wal", sequence: 7 });
    expect(asked[1]).toEqual({ from: 1, limit: 100 });
  });

  test.each<[RecordsEnd["end"], number, LogFlaw | null, string, number]>([
    ["limit", 3, null, "wal: there are more than 3 records; see --limit\n", 0],
    ["damage", 3, flaw("damaged"), `wal: nothing behind the damage is shown\n${WAL} at byte`, 4],
    ["end", 0, null, "wal: no record from number 9 on; its last is 2\n", 0],
    ["end", 1, null, "", 0],
  ])("--records says why it ended (%s after %i)", async (end, shown, found, said, code) => {
    const readRecords: DurableDeps["readRecords"] = async function* () {
      yield { end, log: "wal", shown, flaw: found, lastSequence: 2 };
    };
    const outcome = await run("wal inspect one --records --from 9", { readRecords });
    expect([outcome.stdout, outcome.code]).toEqual(["", code]);
    expect(outcome.stderr.startsWith(said)).toBe(true);
    const json = await run("wal inspect one --records --from 9 --json", { readRecords });
    expect(JSON.parse(json.stdout)).toMatchObject({ kind: "wal-records-end", name: "wal", end });
  });

  test.each(["--from 3", "--limit 3"])("%s needs --records", async (flags) => {
    const outcome = await run(`wal inspect one ${flags}`);
    expect(outcome.code).toBe(2);
    expect(outcome.stderr).toContain("needs --records");
  });
});

describe("wal backup and restore", () => {
  const sha256 = "0".repeat(64);
  const saved: BackupManifest = {
    ...{ format: "esper-backup", version: 1, runId: "one", product: "9.8.7", step: 1_200 },
    ...{ createdAt: "2026-01-01T00:00:00.000Z", files: [{ path: "secret", bytes: 45, sha256 }] },
    logs: [{ name: "wal", logId: null, segments: 1, records: 2, bytes: 2_048, lastSequence: 2 }],
  };
  const restored = { runId: "one", directory: "/r/one", replaced: "/r/replaced-one-1" };

  test("a backup prints where it is on stdout, and what it holds on stderr", async () => {
    const asked: unknown[] = [];
    const backup: DurableDeps["backup"] = async (ref, target) => {
      asked.push([ref, target]);
      return saved;
    };
    const outcome = await run("wal backup one there", { backup });
    expect(asked).toEqual([[{ runsDirectory: "/r", run: "one" }, resolve("there")]]);
    expect(outcome.stdout).toBe(`${resolve("there")}\n`);
    expect(outcome.stderr).toBe(
      "run one: 2 records in 1 log, step 1,200, 1 file, 45 B, saved in:\n",
    );
    const json = await run("wal backup one there --json", { backup });
    expect(JSON.parse(json.stdout)).toMatchObject({
      kind: "wal-backup",
      runId: "one",
      step: 1_200,
    });
  });

  test("a restore says where the old directory is kept", async () => {
    const asked: unknown[] = [];
    const restore: DurableDeps["restore"] = async (from, ref) => {
      asked.push([from, ref]);
      return { ...restored, logs: saved.logs };
    };
    const outcome = await run("wal restore there one", { restore });
    expect(asked).toEqual([[resolve("there"), { runsDirectory: "/r", run: "one" }]]);
    expect(outcome.stdout).toBe("/r/one\n");
    expect(outcome.stderr).toContain("what was there before is kept in /r/replaced-one-1\n");
  });

  test("a repair names the damage and what it kept", async () => {
    const repaired: Repaired = {
      ...{ ...restored, logs: saved.logs, damage: [flaw("damaged")], left: ["odd"] },
    };
    const outcome = await run("wal restore --repair one", { repair: async () => repaired });
    expect(outcome.code).toBe(0);
    expect(outcome.stderr).toContain(`${WAL} at byte 1,234`);
    expect(outcome.stderr).toContain("run one: 2 records in 1 log kept");
    expect(outcome.stderr).toContain("not taken over: odd");
  });

  test.each([
    ["wal restore there", "needs a backup and a run"],
    ["wal restore", "needs a backup and a run"],
    ["wal restore --repair", "--repair needs a run"],
    ["wal restore --repair there one", "--repair takes one run"],
    ["wal backup one", "missing required argument 'directory'"],
    ["wal", "wal needs a command"],
    ["wal verfy one", "did you mean verify?"],
    ["wal verify one --repair", "unknown flag --repair"],
    ["wal soak --seconds 0", "--seconds: given"],
    ["wal soak --kills 1.5", "--kills: given"],
  ])("`%s` is refused", async (line, why) => {
    const outcome = await run(line);
    expect([outcome.code, outcome.stdout]).toEqual([2, ""]);
    expect(outcome.stderr).toContain(why);
  });
});

test.each([
  [["wal", "backup", "one", ""], "the directory is an empty text"],
  [["wal", "restore", "", "one"], "the backup is an empty text"],
  [["wal", "verify", ""], "the run is an empty text"],
])("an empty text is no path: %j", async (given, why) => {
  const outcome = await type([...given, "--runs", "/r"], { durable: UNUSED_DURABLE });
  expect(outcome.stderr).toContain(`error USAGE: ${why}`);
  expect(outcome.code).toBe(2);
});

describe("wal soak", () => {
  const promise = { promise: "what was acknowledged is there", checked: 1_000, broken: 0 };
  const report = {
    ...{
      ok: true,
      interrupted: false,
      seed: 7,
      seconds: 2.5,
      kills: 9,
      offered: 1_200,
      acknowledged: 1_000,
    },
    ...{ torn: 2, flips: 1, promises: [promise], findings: [], directory: null },
  };

  test("prints a verdict a promise", async () => {
    const asked: unknown[] = [];
    const soak: DurableDeps["soak"] = async (wanted) => {
      asked.push(wanted);
      return report;
    };
    const outcome = await run("wal soak --seconds 2.5 --seed 7 --kills 9", { soak });
    expect(asked).toEqual([{ seconds: 2.5, seed: 7, kills: 9, directory: null }]);
    expect(outcome.stdout).toBe(
      "seed 7: 9 kills in 2.5 s, 1,000 records acknowledged of 1,200 offered, 2 torn tails, " +
        "1 flipped bits\n\n" +
        "PROMISE                         CHECKED  BROKEN  VERDICT\n" +
        "what was acknowledged is there  1,000    0       kept\n\n" +
        "every promise was kept\n",
    );
    expect(outcome.code).toBe(0);
  });

  test("exits with 4 and says how to see it again when one is broken", async () => {
    const broken = { ...report, ok: false, promises: [{ ...promise, broken: 1 }] };
    const soak = async () => ({ ...broken, findings: ["id 5 is gone"], directory: "/tmp/x" });
    const outcome = await run("wal soak --seed 7", { soak });
    expect(outcome.code).toBe(4);
    expect(outcome.stdout).toContain("BROKEN");
    expect(outcome.stdout).toContain("id 5 is gone\nthe log is in /tmp/x\n");
    expect(outcome.stdout).toContain("again: wal soak --seed 7 --kills 9\n");
    const json = await run("wal soak --json", { soak });
    expect(JSON.parse(json.stdout)).toMatchObject({ kind: "wal-soak", ok: false });
    expect(json.code).toBe(4);
  });

  test("a promise that was not tried is not said to be kept", async () => {
    const promises = [promise, { promise: "damage is named, not read", checked: 0, broken: 0 }];
    const outcome = await run("wal soak", { soak: async () => ({ ...report, promises }) });
    expect(outcome.stdout).toMatch(/^damage is named, not read +0 +0 +not tried$/m);
    expect(outcome.stdout).toContain("no promise was broken; 1 of 2 were not tried: soak longer\n");
    expect(outcome.code).toBe(0);
  });

  test("one that was interrupted says so, and exits as the signal does", async () => {
    const soak = async () => ({ ...report, interrupted: true });
    const signals = { hold: () => new CancellationToken(), received: () => "SIGINT" as const };
    const durable = { ...UNUSED_DURABLE, soak };
    const outcome = await type(words("wal soak --runs /r"), { durable, signals });
    expect(outcome.stdout).toContain("interrupted: every promise was kept\n");
    expect(outcome.code).toBe(130);
  });
});
