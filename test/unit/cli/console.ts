/** A command line with everything around it replaced: what it says and asks is recorded. */
import { z } from "zod";
import { protocol } from "../../../src/protocols/protocol.ts";
import type { RunEvent, RunRequest, RunSummary } from "../../../src/protocols/run.ts";
import { defineActor } from "../../../src/runtime/actor.ts";
import type { CliDeps, ObserverOptions, ResumeRequest } from "../../../src/runtime/cli/deps.ts";
import type { DurableDeps } from "../../../src/runtime/cli/durable-deps.ts";
import { main } from "../../../src/runtime/cli/main.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import type { OpenFile } from "../../../src/runtime/durable/files.ts";
import { CancellationToken } from "../../../src/runtime/token.ts";
import { actor, defineConfig, supervisor } from "../../../src/runtime/topology.ts";
import { STORED } from "../../fixtures/stored-request.ts";

function resident(name: string) {
  return defineActor(import.meta.url, protocol(name, {}), {
    config: z.strictObject({}),
    setup: () => ({}),
    receive: {},
  });
}

const tree = supervisor({
  strategy: "rest_for_one",
  children: {
    nissa: actor(resident("nissa"), { thread: "durable" }),
    training: supervisor({
      children: {
        kasmina: actor(resident("kasmina"), { thread: "device" }),
        tamiyo: actor(resident("tamiyo"), { thread: "policy" }),
        tolaria: actor(resident("tolaria"), { thread: "device" }),
      },
    }),
  },
});

export const CONFIG = defineConfig({
  defaults: "local-cpu",
  runDirectory: "runs",
  topologies: {
    "local-cpu": {
      description: "One process, tensors on the CPU.",
      engine: "wasm",
      fabric: { kind: "embedded" },
      tree,
    },
    "local-gpu": {
      description: "One process, tensors on the GPU.",
      engine: "gpu",
      fabric: { kind: "embedded" },
      tree,
    },
  },
});

const point = {
  epoch: 1,
  step: 10,
  trainingLoss: 0.5,
  validationLoss: 0.6,
  trainingScore: 0.8,
  validationScore: 0.75,
};

export const SUMMARY: RunSummary = {
  runId: "20260101-000000-spirals-abcd",
  directory: "/runs/20260101-000000-spirals-abcd",
  outcome: "completed",
  datasetName: "spirals",
  task: "classification",
  scoreName: "accuracy",
  epochs: 1,
  steps: 10,
  wallSeconds: 1,
  firstGrowthSeconds: null,
  beforeGrowth: point,
  last: point,
  testScore: 0.7,
  hostParameters: 10,
  totalParameters: 12,
  seeds: { fossilized: 0, culled: 0, alive: 0 },
  restarts: 0,
  residentMemoryMb: 100,
  digest: "00",
};

const HEADS: Readonly<Record<string, readonly number[]>> = {
  "images.idx": [0, 0, 8, 3],
  "images.gz": [0x1f, 0x8b, 8, 0],
  "notes.txt": [0x68, 0x65, 0x6c, 0x6c],
};

function openHead(path: string): OpenFile {
  const bytes = HEADS[path.split("/").at(-1) ?? ""];
  if (bytes === undefined) throw new Error(`ENOENT: ${path}`);
  const refuse = () => Promise.reject(new Error("read only"));
  return {
    path,
    read: async (_offset, length) => Uint8Array.from(bytes).subarray(0, length),
    readInto: refuse,
    write: refuse,
    truncate: refuse,
    size: async () => bytes.length,
    sync: refuse,
    close: async () => {},
  };
}

const unused = (): Promise<never> => Promise.reject(new Error("unused"));

/** Commands on logs and checkpoints of which none is expected. */
export const UNUSED_DURABLE: DurableDeps = {
  verifyLogs: unused,
  inspectLogs: unused,
  readRecords: () => ({ [Symbol.asyncIterator]: () => ({ next: unused }) }),
  backup: unused,
  restore: unused,
  repair: unused,
  soak: unused,
  listCheckpoints: unused,
  verifyCheckpoints: unused,
  diffCheckpoints: unused,
};

/** What a command line did. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly requests: readonly (RunRequest | ResumeRequest)[];
  readonly events: readonly RunEvent[];
  readonly observers: readonly ObserverOptions[];
  readonly asked: readonly unknown[];
}

function recordedDeps(overrides: Partial<CliDeps>) {
  const said = { stdout: "", stderr: "" };
  const requests: (RunRequest | ResumeRequest)[] = [];
  const events: RunEvent[] = [];
  const observers: ObserverOptions[] = [];
  const asked: unknown[] = [];
  const output = (name: "stdout" | "stderr") => ({
    write: (text: string) => {
      said[name] += text;
    },
    isTTY: false,
    columns: () => 100,
    rows: () => 24,
  });
  const deps: CliDeps = {
    version: "9.8.7",
    stdout: output("stdout"),
    stderr: output("stderr"),
    environment: {},
    clock: systemClock,
    files: {
      open: async (path) => openHead(path),
      stat: () => Promise.reject(new Error("unused")),
      list: async () => [],
      remove: () => Promise.reject(new Error("unused")),
      freeBytes: async () => Number.MAX_SAFE_INTEGER,
    },
    signals: { hold: () => new CancellationToken(), received: () => null },
    loadConfig: async (file) => ({
      config: CONFIG,
      file: file ?? "/package/actors.config.js",
      source: file === null ? "default" : "flag",
    }),
    createObserver: (options) => {
      observers.push(options);
      return {
        on: (event) => {
          events.push(event);
        },
        close: () => asked.push("observer closed"),
      };
    },
    train: async (request) => {
      requests.push(request);
      return SUMMARY;
    },
    storedRequest: async () => ({ runId: SUMMARY.runId, request: STORED }),
    evaluate: async (ref, data) => {
      asked.push({ evaluate: ref, data });
      return {
        runId: SUMMARY.runId,
        task: "classification",
        rows: 90,
        scoreName: "accuracy",
        score: 0.91234,
        loss: 0.25,
        dropped: { "missing target": 3 },
      };
    },
    predict: async (ref, data, out) => {
      asked.push({ predict: ref, data, out });
      return { runId: SUMMARY.runId, rows: 90, file: out };
    },
    report: async (ref, out) => {
      asked.push({ report: ref, out });
      return { file: out ?? `${ref.runsDirectory}/report.html` };
    },
    probeEngine: async (engine) => `${engine} opened`,
    listRuns: async (runsDirectory) => {
      asked.push({ listRuns: runsDirectory });
      return { runs: [], unreadable: [] };
    },
    openControl: () => Promise.reject(new Error("unused")),
    durable: UNUSED_DURABLE,
    ...overrides,
  };
  return { deps, said, requests, events, observers, asked };
}

/** Runs one command line. */
export async function type(
  argv: readonly string[],
  overrides: Partial<CliDeps> = {},
): Promise<Outcome> {
  const { deps, said, ...recorded } = recordedDeps(overrides);
  const code = await main(argv, deps);
  return { code, ...said, ...recorded };
}

/** Splits a command line at spaces; `''` is an empty argument. */
export function words(line: string): string[] {
  return line
    .split(" ")
    .filter((word) => word !== "")
    .map((word) => (word === "''" ? "" : word));
}
