/** A whole run on its real tree and threads, held by the test: to be watched, stopped, killed. */
import fs from "node:fs";
import path from "node:path";
import { vi } from "vitest";
import type { RunOrder, RunResult, SeedTransition } from "../../../dist/protocols/actors/growth.js";
import type { RunEvent, RunRequest } from "../../../dist/protocols/run.js";
import type { EsperConfig, RunEnvironment } from "../../../dist/runtime/topology.js";
import { probe } from "../../fixtures/actors/thread-probe.mjs";
import { actor, type Started, startThreads, supervisor } from "../built.ts";
import { newDirectory } from "./support.ts";

const { prepareNew } = await import("../../../dist/runtime/run/prepare.js");
const { RunSession } = await import("../../../dist/runtime/run/session.js");
const { loadSettings } = await import("../../../dist/runtime/config/settings.js");
const { systemFiles } = await import("../../../dist/runtime/durable/files.js");
const { systemClock } = await import("../../../dist/runtime/clock.js");
const built = new URL("../../../dist/actors.config.js", import.meta.url).href;
const { default: config } = (await import(built)) as { readonly default: EsperConfig };

/** A run takes two seconds, more on a machine with other work to do. */
vi.setConfig({ testTimeout: 120_000 });

const DATA_BUDGET_BYTES = 1 << 28;

export interface HeldRun extends Started {
  readonly order: RunOrder;
  readonly secret: string;
  readonly runEvents: readonly RunEvent[];
  readonly transitions: readonly SeedTransition[];
  /** Settles with the result of the training. */
  readonly done: Promise<RunResult>;
  step(): number;
  /** Rows of the metrics on disk, without what may differ between equal runs. */
  rows(): string[];
}

export interface RunWishes {
  readonly epochs: number;
  readonly growth?: boolean;
  /** False: the trainer waits for orders of the test. */
  readonly begins?: boolean;
}

/** Everything a run may be asked for that these tests do not vary. */
const DEFAULTS = {
  topology: "local-cpu",
  seed: 3,
  data: { kind: "builtin", name: "spirals" },
  validationShare: 0.2,
  host: null,
  batchSize: null,
  optimizer: null,
  learningRate: null,
  weightDecay: null,
  targetScore: null,
  arm: "policy",
  faults: [],
} as const;

/** Without the clock's readings, equal runs have equal rows. */
function timeless(line: string): string {
  const row = JSON.parse(line) as Record<string, unknown>;
  const kept = Object.entries(row).filter(([name]) => !name.endsWith("_wall"));
  return JSON.stringify(Object.fromEntries(kept));
}

/** Starts the tree of the main job, with a probe on the device's thread. */
export async function startRun(wishes: RunWishes): Promise<HeldRun> {
  const topology = config.topologies["local-cpu"]!;
  const settings = loadSettings({ TAMIYO_STEP_TIMEOUT_MS: "60000" });
  const context = { config, topology, settings, verbose: false, allowSoftwareGpu: false };
  const request: RunRequest = {
    ...DEFAULTS,
    runsDirectory: newDirectory(),
    epochs: wishes.epochs,
    growth: wishes.growth ?? false,
  };
  const prepared = await prepareNew(request, context, {
    ...{ files: systemFiles, clock: systemClock, dataBudgetBytes: DATA_BUDGET_BYTES },
    versions: { node: process.version, product: "test" },
  });
  const { run, order } = prepared;
  const runEvents: RunEvent[] = [];
  const session = new RunSession({
    ...{ order, store: run.checkpoints, clock: systemClock },
    observer: { on: (event) => void runEvents.push(event) },
    saveIncarnation: (incarnation) => run.update({ incarnation }),
    readMisses: async () => [],
  });
  const idle = { nextOrder: async () => null };
  const host = wishes.begins === false ? withOwn(session, idle) : session;
  const environment: RunEnvironment = {
    ...{ runId: run.runId, incarnation: 1, seed: request.seed, directory: run.directory },
    ...{ secret: prepared.secret.value, blendMode: order.options.blendMode, host },
    engine: "wasm",
    arm: "policy",
    ...{ allowSoftwareGpu: false, salvage: false, settings: settings.values },
  };
  const children = { ...topology.tree.children, probe: actor(probe, { thread: "device" }) };
  const tree = supervisor({ intensity: 20, periodMs: 1_000, children });
  const started = await startThreads(tree, {
    ...{ run: environment, telemetry: { actor: "nissa" } },
  });
  void session.done.finally(() => prepared.lock.release()).catch(() => undefined);
  return {
    ...started,
    ...{ order, secret: prepared.secret.value, runEvents, done: session.done },
    get transitions() {
      return runEvents.flatMap((event) => (event.kind === "seed" ? [event.transition] : []));
    },
    step: () => runEvents.reduce((step, event) => Math.max(step, stepOf(event)), 0),
    rows: () =>
      fs
        .readFileSync(path.join(run.directory, "metrics.jsonl"), "utf8")
        .split("\n")
        .filter((line) => line !== "")
        .map(timeless),
  };
}

function stepOf(event: RunEvent): number {
  if (event.kind === "progress") return event.step;
  return event.kind === "epoch" ? event.point.step : 0;
}

/** The same object with some members of its own. */
function withOwn<T extends object>(base: T, own: Partial<T>): T {
  return new Proxy(base, {
    get(target, name) {
      if (name in own) return own[name as keyof T];
      const member = Reflect.get(target, name) as unknown;
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}
