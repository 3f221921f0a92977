/** The commands beside `train`, help, and where their words go. */
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { EXIT_TABLE } from "../../../src/runtime/run/exit.ts";
import { SUMMARY, type, words } from "./console.ts";

describe("evaluate", () => {
  test("asks for the run and tells the score", async () => {
    const outcome = await type(words("evaluate 2026-x --data f.csv --runs /r"));
    expect(outcome.asked).toEqual([
      {
        evaluate: { runsDirectory: "/r", run: "2026-x" },
        data: { files: [resolve("f.csv")], labels: null },
      },
    ]);
    expect(outcome.stdout).toBe(
      `run ${SUMMARY.runId} on 90 rows: accuracy 0.9123, loss 0.2500\n` +
        "  left out 3 rows: missing target\n",
    );
    expect(outcome.code).toBe(0);
  });

  test("understands global flags before it, as `npm start --` writes them", async () => {
    const line = "--topology local-cpu --runs /r --json evaluate latest --data f.csv";
    const outcome = await type(words(line));
    expect(outcome.asked).toMatchObject([{ evaluate: { runsDirectory: "/r", run: "latest" } }]);
    expect(JSON.parse(outcome.stdout)).toMatchObject({ kind: "evaluation", score: 0.91234 });
    expect(outcome.stderr).toBe("");
  });

  test("uses the configuration's folder of runs when none is named", async () => {
    const outcome = await type(words("evaluate latest --data f.csv"));
    expect(outcome.asked).toMatchObject([{ evaluate: { runsDirectory: resolve("runs") } }]);
  });
});

describe("predict", () => {
  test("prints the file on stdout and talks on stderr", async () => {
    const outcome = await type(words("predict latest --data f.csv --out g.csv"));
    expect(outcome.stdout).toBe(`${resolve("g.csv")}\n`);
    expect(outcome.stderr).toContain("90 predictions");
  });

  test("--quiet leaves only the file", async () => {
    const outcome = await type(words("predict latest --quiet --data f.csv --out g.csv"));
    expect(outcome.stderr).toBe("");
  });
});

describe("report", () => {
  test("without --out leaves the place to the run's folder", async () => {
    const outcome = await type(words("report latest --runs /r"));
    expect(outcome.asked).toEqual([{ report: { runsDirectory: "/r", run: "latest" }, out: null }]);
    expect(outcome.stdout).toBe("/r/report.html\n");
  });
});

describe("runs", () => {
  test("lists runs in aligned columns", async () => {
    const listing = {
      runId: "20260102-000000-rings-ffff",
      directory: "/r/x",
      createdAt: "2026-01-02T00:00:00.123Z",
      topology: "local-cpu",
      datasetName: "rings",
    };
    const outcome = await type(words("runs"), {
      listRuns: async () => ({
        runs: [
          { ...listing, status: "running", summary: null },
          { ...listing, status: "completed", summary: SUMMARY },
        ],
        unreadable: [],
      }),
    });
    expect(outcome.stdout.split("\n")).toEqual([
      "RUN                         STARTED (UTC)        STATUS     DATA   SCORE            STEPS",
      "20260102-000000-rings-ffff  2026-01-02 00:00:00  running    rings  -                -",
      "20260102-000000-rings-ffff  2026-01-02 00:00:00  completed  rings  accuracy 0.7500  10",
      "",
    ]);
  });

  test("says on stderr that there are none", async () => {
    const outcome = await type(words("runs --runs /r"));
    expect(outcome).toMatchObject({ code: 0, stdout: "", stderr: "there are no runs in /r\n" });
  });

  test("names on stderr the runs that cannot be read, and never says there are none", async () => {
    const listRuns = async () => ({ runs: [], unreadable: ["/r/x/manifest.json is no manifest"] });
    const outcome = await type(words("runs --runs /r"), { listRuns });
    expect(outcome).toMatchObject({
      code: 0,
      stdout: "",
      stderr: "not listed: /r/x/manifest.json is no manifest\nthere are no readable runs in /r\n",
    });
    const data = await type(words("runs --json --runs /r"), { listRuns });
    expect(JSON.parse(data.stdout)).toMatchObject({
      unreadable: ["/r/x/manifest.json is no manifest"],
    });
  });

  test("--json is one line of data also when there are none", async () => {
    const outcome = await type(words("runs --json --runs /r"));
    expect(JSON.parse(outcome.stdout)).toEqual({
      kind: "runs",
      runsDirectory: "/r",
      runs: [],
      unreadable: [],
    });
  });
});

describe("config", () => {
  const secret = "a-very-secret-signing-key";
  const environment = {
    ESPER_LEYLINE_SECRET: secret,
    REDIS_URL: "redis://me:hunter22@host:1/0",
    TAMIYO_STEP_TIMEOUT_MS: "7",
  };

  test.each(["config print", "config print --json"])("%s masks secrets", async (line) => {
    const outcome = await type(words(line), { environment });
    expect(outcome.code).toBe(0);
    expect(outcome.stdout).not.toContain(secret);
    expect(outcome.stdout).not.toContain("hunter22");
    expect(outcome.stdout).toContain("redis://me:********@host:1/0");
  });

  test("print tells each value, its source and who reads it", async () => {
    const outcome = await type(words("--json config print --topology local-gpu"), { environment });
    const printed = JSON.parse(outcome.stdout);
    expect(printed.topology).toEqual({ name: "local-gpu", source: "flag" });
    expect(printed.settings).toContainEqual(
      expect.objectContaining({
        name: "TAMIYO_STEP_TIMEOUT_MS",
        value: 7,
        default: 5,
        source: "environment",
        usedBy: "Tamiyo (controller)",
      }),
    );
    expect(printed.settings).toContainEqual(
      expect.objectContaining({ name: "URABRASK_ENABLED", source: "default", usedBy: null }),
    );
  });

  test("check names settings that nobody reads", async () => {
    const outcome = await type(words("config check"), { environment });
    expect(outcome.stdout).toContain("valid: /package/actors.config.js");
    expect(outcome.stdout).toContain("REDIS_URL is set, but no part of this version reads it");
    expect(outcome.stdout).not.toContain("TAMIYO_STEP_TIMEOUT_MS is set");
  });

  test("check refuses a bad setting", async () => {
    const outcome = await type(words("config check"), { environment: { ESP_LOG_LEVEL: "LOUD" } });
    expect(outcome.code).toBe(2);
    expect(outcome.stderr).toContain('error CONFIG_INVALID: ESP_LOG_LEVEL: given "LOUD"');
  });
});

describe("help and version", () => {
  test("--help shows flags with defaults, examples and the exit codes", async () => {
    const outcome = await type(["--help"]);
    expect(outcome.code).toBe(0);
    expect(outcome.stderr).toBe("");
    expect(outcome.stdout).toContain("seed of every random choice (default: 42)");
    for (const [code, meaning] of EXIT_TABLE) {
      expect(outcome.stdout).toContain(`${String(code).padStart(3)}  ${meaning}`);
    }
    expect(outcome.stdout).toContain("for comparisons");
  });

  test("every flag of every command shows a default", async () => {
    for (const line of ["--help", "train --help", "evaluate --help", "predict --help"]) {
      const { stdout } = await type(words(line));
      const options = stdout.split("Options:\n")[1]?.split("\n\n")[0] ?? "";
      const entries = options.split(/\n(?= {2}--)/);
      expect(entries.length).toBeGreaterThan(5);
      for (const entry of entries) {
        if (/^ *--(help|version)/.test(entry)) continue;
        expect(entry).toMatch(/\(default:\s/);
      }
    }
  });

  test.each(["help evaluate", "evaluate --help", "--topology local-cpu evaluate --help"])(
    "%s shows the command's own flags",
    async (line) => {
      const outcome = await type(words(line));
      expect(outcome.stdout).toContain("esper evaluate [options] <run>");
      expect(outcome.code).toBe(0);
    },
  );

  test("--version prints the version alone", async () => {
    expect(await type(["--version"])).toMatchObject({ code: 0, stdout: "9.8.7\n", stderr: "" });
  });
});
