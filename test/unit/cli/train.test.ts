/** What `train` asks for, which observer it opens, and how it ends. */
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import { CancellationToken } from "../../../src/runtime/token.ts";
import { STORED } from "../../fixtures/stored-request.ts";
import { SUMMARY, type, words } from "./console.ts";

async function request(line: string) {
  const outcome = await type(words(line));
  expect(outcome.stderr).toBe("");
  expect(outcome.code).toBe(0);
  return outcome.requests[0];
}

describe("without a command", () => {
  test("trains on two spirals with every default", async () => {
    expect(await request("")).toEqual({
      ...STORED,
      runsDirectory: resolve("runs"),
    });
  });

  test("every flag reaches the request", async () => {
    const line =
      "--topology local-gpu --dataset digits --seed 7 --epochs 3 --batch-size 16 --host cnn:8,16 " +
      "--optimizer sgd --learning-rate 1e-3 --weight-decay 0.01 --target-score 0.9 " +
      "--arm random-timing --runs /tmp/r --fault kill:tamiyo@3s --fault crash:kasmina@step:500";
    expect(await request(line)).toEqual({
      topology: "local-gpu",
      seed: 7,
      runsDirectory: "/tmp/r",
      data: { kind: "builtin", name: "digits" },
      validationShare: 0.2,
      host: { kind: "cnn", widths: [8, 16] },
      epochs: 3,
      batchSize: 16,
      optimizer: "sgd",
      learningRate: 0.001,
      weightDecay: 0.01,
      targetScore: 0.9,
      growth: true,
      arm: "random-timing",
      faults: [
        { kind: "kill", actor: "tamiyo", at: { afterMs: 3_000 } },
        { kind: "crash", actor: "kasmina", at: { step: 500 } },
      ],
    });
  });

  test("fault times are understood in ms, s and m", async () => {
    const line = "--fault kill:nissa@500ms --fault kill:nissa@2s --fault kill:nissa@1m";
    const asked = await request(line);
    expect(asked?.faults.map(({ at }) => at)).toEqual([
      { afterMs: 500 },
      { afterMs: 2_000 },
      { afterMs: 60_000 },
    ]);
  });

  test("--no-growth asks for the starting network only", async () => {
    expect(await request("--no-growth")).toMatchObject({ growth: false });
  });

  test("the last of two topologies wins, also across the train command", async () => {
    expect(await request("--topology local-cpu --topology local-gpu")).toMatchObject({
      topology: "local-gpu",
    });
    expect(await request("--topology local-cpu train --topology local-gpu")).toMatchObject({
      topology: "local-gpu",
    });
    expect(await request("--topology local-gpu train")).toMatchObject({ topology: "local-gpu" });
  });

  test("flags before and after the train command are joined", async () => {
    expect(await request("--epochs 3 train --seed 9")).toMatchObject({ epochs: 3, seed: 9 });
  });
});

describe("the user's own data", () => {
  test.each([
    ["--data a.CSV --target y", { kind: "csv", file: resolve("a.CSV"), target: "y" }],
    [
      "--data images.idx --labels labels.idx",
      { kind: "idx", images: resolve("images.idx"), labels: resolve("labels.idx") },
    ],
    [
      "--data images.gz --labels labels.gz",
      { kind: "idx", images: resolve("images.gz"), labels: resolve("labels.gz") },
    ],
    [
      "--data a.bin b.bin --data c.bin",
      { kind: "cifar10", files: ["a.bin", "b.bin", "c.bin"].map((file) => resolve(file)) },
    ],
  ])("%s", async (line, data) => {
    expect(await request(line)).toMatchObject({ data });
  });

  test("--validation-share goes with it", async () => {
    expect(await request("--data a.csv --target y --validation-share 0.5")).toMatchObject({
      validationShare: 0.5,
    });
  });
});

describe("--resume", () => {
  test("asks for the run on its own topology", async () => {
    const stored = async () => ({
      runId: "x",
      request: { ...STORED, topology: "local-gpu" },
    });
    const outcome = await type(words("--resume latest --runs /r --salvage"), {
      storedRequest: stored,
    });
    expect(outcome.requests).toEqual([
      {
        resume: { runsDirectory: "/r", run: "latest" },
        salvage: true,
        topology: "local-gpu",
        faults: [],
      },
    ]);
    expect(outcome.events).toEqual([]);
  });

  test("accepts flags that say what the run was started with", async () => {
    expect(await request("--resume latest --seed 42 --dataset spirals")).toMatchObject({
      resume: { run: "latest" },
    });
  });

  test("warns when it continues on another topology", async () => {
    const outcome = await type(words("--topology local-gpu --resume latest"));
    expect(outcome.events).toMatchObject([
      { kind: "notice", level: "WARNING", message: expect.stringContaining("local-gpu") },
    ]);
  });

  test("tells that there is no such run", async () => {
    const outcome = await type(words("--resume nope"), {
      storedRequest: () => Promise.reject(new EsperError("RUN_NOT_FOUND", "no run nope")),
    });
    expect(outcome.stderr).toBe("error RUN_NOT_FOUND: no run nope\n");
    expect(outcome.code).toBe(2);
  });
});

describe("a software GPU", () => {
  const allowedBy = async (line: string) => {
    const seen: boolean[] = [];
    const outcome = await type(words(line), {
      train: async (_request, _observer, _stop, context) => {
        seen.push(context.allowSoftwareGpu);
        return SUMMARY;
      },
    });
    return { seen, stderr: outcome.stderr, code: outcome.code };
  };

  test("is allowed by its flag alone, for a new run and a resumed one", async () => {
    const gpu = "--topology local-gpu";
    expect((await allowedBy(gpu)).seen).toEqual([false]);
    expect((await allowedBy(`${gpu} --allow-software-gpu`)).seen).toEqual([true]);
    expect((await allowedBy(`${gpu} --resume latest --allow-software-gpu`)).seen).toEqual([true]);
  });

  test("is not asked for on a topology without a GPU", async () => {
    for (const line of ["--allow-software-gpu", "--resume latest --allow-software-gpu"]) {
      const { seen, stderr, code } = await allowedBy(line);
      expect(seen).toEqual([]);
      expect(stderr).toContain("local-cpu has the engine wasm");
      expect(code).toBe(2);
    }
  });
});

describe("the observer", () => {
  test.each([
    ["", false, "plain"],
    ["", true, "tty"],
    ["--quiet", true, "quiet"],
    ["--json", true, "json"],
    ["--json --quiet", true, "json"],
  ])("%s on a terminal: %s gives %s", async (line, isTTY, mode) => {
    const stdout = { write: () => {}, isTTY, columns: () => 80, rows: () => 24 };
    const outcome = await type(words(line), { stdout });
    expect(outcome.observers).toMatchObject([{ mode }]);
    expect(outcome.asked).toEqual(["observer closed"]);
  });

  test.each([
    [{}, true, true],
    [{}, false, false],
    [{ NO_COLOR: "1" }, true, false],
    [{ NO_COLOR: "" }, true, true],
    [{ FORCE_COLOR: "1" }, false, true],
    [{ FORCE_COLOR: "1", NO_COLOR: "1" }, true, false],
    [{ FORCE_COLOR: "0" }, false, false],
    [{ TERM: "dumb" }, true, false],
  ])("%j on a terminal: %s gives colour: %s", async (environment, isTTY, colour) => {
    const stdout = { write: () => {}, isTTY, columns: () => 80, rows: () => 24 };
    const outcome = await type([], { stdout, environment });
    expect(outcome.observers).toMatchObject([{ colour }]);
  });

  test("is closed when the run fails", async () => {
    const outcome = await type([], {
      train: () => Promise.reject(new EsperError("STORAGE_FULL", "no room on /runs")),
    });
    expect(outcome.asked).toEqual(["observer closed"]);
    expect(outcome.stderr).toBe("error STORAGE_FULL: no room on /runs\n");
    expect(outcome.code).toBe(1);
  });

  test("hears which settings nobody reads", async () => {
    const outcome = await type([], {
      environment: { TOLARIA_PCGRAD_ENABLED: "true", TAMIYO_CONSERVATIVE_MODE: "true" },
    });
    expect(outcome.events).toEqual([
      {
        kind: "notice",
        level: "WARNING",
        message: "TOLARIA_PCGRAD_ENABLED is set, but no part of this version reads it",
      },
    ]);
  });
});

describe("the end of a run", () => {
  test.each([
    ["completed", null, 0],
    ["target-reached", null, 0],
    ["stopped", "SIGINT", 130],
    ["stopped", "SIGTERM", 143],
    ["completed", "SIGINT", 0],
    ["failed", null, 1],
  ] as const)("outcome %s after signal %s exits with %i", async (outcome, signal, code) => {
    const result = await type([], {
      train: async () => ({ ...SUMMARY, outcome }),
      signals: { hold: () => new CancellationToken(), received: () => signal },
    });
    expect(result.code).toBe(code);
  });

  test("a signal before training began is not an error", async () => {
    const outcome = await type([], {
      train: () => Promise.reject(new EsperError("CANCELLED", "cancelled")),
      signals: { hold: () => new CancellationToken(), received: () => "SIGTERM" },
    });
    expect(outcome.code).toBe(143);
    expect(outcome.stderr).toBe("stopped by SIGTERM before training began\n");
  });

  test("training gets the token of the signals and what was loaded", async () => {
    const token = new CancellationToken();
    const seen: unknown[] = [];
    await type(["--verbose"], {
      signals: { hold: () => token, received: () => null },
      environment: { TAMIYO_STEP_TIMEOUT_MS: "12.5" },
      train: async (_request, _observer, stop, context) => {
        seen.push(stop === token, context.verbose, context.topology.engine);
        seen.push(context.settings.values.TAMIYO_STEP_TIMEOUT_MS);
        return SUMMARY;
      },
    });
    expect(seen).toEqual([true, true, "wasm", 12.5]);
  });

  test("something that is no coded error is told as a defect with its stack", async () => {
    const outcome = await type(["--json"], {
      train: () => Promise.reject(new TypeError("x is not a function")),
    });
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toContain("error INTERNAL: TypeError: x is not a function");
    expect(outcome.stderr).toContain("This is a defect of the product.");
    expect(outcome.stderr).toMatch(/\n\s+at /);
    expect(JSON.parse(outcome.stdout)).toMatchObject({ kind: "error", code: "INTERNAL" });
  });
});

describe("--dry-run", () => {
  test("shows tree, threads and limits, and starts nothing", async () => {
    const outcome = await type(words("--dry-run --epochs 3"));
    expect(outcome.code).toBe(0);
    expect(outcome.requests).toEqual([]);
    expect(outcome.observers).toEqual([]);
    expect(outcome.stdout).toContain("supervisor rest_for_one, at most 3 restarts in 5000 ms");
    expect(outcome.stdout).toContain(
      "tamiyo on policy: permanent, mailbox 1024 then reject, 3 restarts in 5000 ms",
    );
    expect(outcome.stdout).toContain("  device: kasmina, tolaria\n");
    expect(outcome.stdout).toContain("  epochs: 3\n");
    expect(outcome.stdout).toContain("nothing was started");
  });

  test("with --json is one line of data", async () => {
    const outcome = await type(words("--dry-run --json"));
    const plan = JSON.parse(outcome.stdout);
    expect(plan).toMatchObject({ kind: "plan", threads: ["durable", "device", "policy"] });
    expect(plan.actors.map(({ name }: { name: string }) => name)).toEqual([
      "nissa",
      "kasmina",
      "tamiyo",
      "tolaria",
    ]);
  });
});
