/** Tamiyo among its real neighbours: the write-ahead log on a real folder, the library. */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { tamiyo } from "../../../../src/actors/tamiyo/evaluator.actor.ts";
import { fieldReports } from "../../../../src/actors/tamiyo/field-reports/field-reports.actor.ts";
import { urza } from "../../../../src/actors/urza/urza.actor.ts";
import { walWriter } from "../../../../src/actors/wal/wal-writer.actor.ts";
import {
  FieldReportsProtocol,
  type TelemetryBatch,
} from "../../../../src/protocols/actors/durable.ts";
import { TamiyoProtocol } from "../../../../src/protocols/actors/growth.ts";
import { EsperError } from "../../../../src/protocols/errors.ts";
import { decodeCommand, decodeFieldReport } from "../../../../src/protocols/leyline/codec.ts";
import type { FieldReport } from "../../../../src/protocols/leyline/command.ts";
import { signatureMatches } from "../../../../src/protocols/leyline/signing.ts";
import type { SystemStatePacket } from "../../../../src/protocols/leyline/state.ts";
import { type AnyActorDefinition, defineActor } from "../../../../src/runtime/actor.ts";
import { systemFiles } from "../../../../src/runtime/durable/files.ts";
import { decodeStatements } from "../../../../src/runtime/durable/outbox-record.ts";
import { Wal } from "../../../../src/runtime/durable/wal.ts";
import { actor, supervisor } from "../../../../src/runtime/topology.ts";
import { collecting } from "../../../fixtures/actors/stand-ins.ts";
import { rejection, startInline, testRun, until } from "../../runtime/support.ts";

const SECRET = "a secret of enough bytes";
const DEADLINE = { deadlineMs: 5_000 } as const;

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) fs.rmSync(folder, { recursive: true });
});

function newDirectory(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "esper-tamiyo-"));
  folders.push(folder);
  return folder;
}

async function begin(
  options: { reports?: AnyActorDefinition; policy?: object; stepTimeoutMs?: number } = {},
) {
  const directory = newDirectory();
  const batches: TelemetryBatch[] = [];
  const log = { directory, strict: true, retentionHours: 24 };
  const reports = options.reports ?? fieldReports;
  const config = {
    secret: SECRET,
    policy: options.policy ?? {},
    stepTimeoutMs: options.stepTimeoutMs ?? 0,
    blendMode: "RESIDUAL",
  };
  const tree = supervisor({
    children: {
      nissa: actor(collecting(batches), { thread: "durable" }),
      wal: actor(walWriter, { thread: "durable", config: () => log }),
      reports: actor(reports, {
        thread: "durable",
        config: () => (options.reports === undefined ? { observationWindow: 1 } : {}),
      }),
      urza: actor(urza, { thread: "control" }),
      tamiyo: actor(tamiyo, { thread: "control", config: () => config }),
    },
  });
  const { system } = await startInline(tree, {
    run: testRun({ directory }),
    telemetry: { actor: "nissa" },
  });
  const ref = system.ref(TamiyoProtocol);
  const decide = (packet: SystemStatePacket) => ref.call("decide", { packet }, DEADLINE);
  const telemetry = async () => {
    await system.stop({ graceMs: 2_000 });
    return {
      events: batches.flatMap(({ events }) => events),
      metrics: batches.flatMap(({ metrics }) => metrics),
    };
  };
  return { directory, decide, telemetry };
}

/** A long plateau: the policy germinates. */
function packet(changes: Partial<SystemStatePacket> = {}): SystemStatePacket {
  const history = Array.from({ length: 60 }, (_, index) => ({
    epoch: index + 1,
    step: (index + 1) * 8,
    trainingLoss: 0.66,
    validationLoss: 0.66,
    trainingScore: 0.6,
    validationScore: 0.6,
  }));
  return {
    version: 1,
    packetId: "run-1-step-480",
    trainingRunId: "run-1",
    incarnation: 2,
    currentEpoch: 60,
    globalStep: 480,
    trainingLoss: 0.66,
    validationLoss: 0.66,
    validationAccuracy: 0.6,
    trainingMetrics: { loss_delta: -0.01, decide_every: 16 },
    seedStates: [],
    hostSites: [{ siteId: "hidden1", kind: "vector", shape: [8], depth: 0 }],
    hostParameters: 50,
    totalParameters: 50,
    stepsLeft: 5_000,
    history,
    seed: 7,
    ...changes,
  };
}

/** The reports on disk at this moment, read from a copy as a restarted process would. */
async function reportsOnDisk(directory: string): Promise<FieldReport[]> {
  const copy = newDirectory();
  fs.cpSync(directory, copy, { recursive: true });
  const wal = await Wal.open({ files: systemFiles, directory: copy });
  const reports: FieldReport[] = [];
  for await (const { payload } of wal.read()) {
    for (const statement of decodeStatements(payload)) {
      if (statement.kind === "entry") reports.push(decodeFieldReport(statement.payload));
    }
  }
  await wal.close();
  return reports;
}

describe("a decision", () => {
  it("to germinate is a signed command for the packet's run and site", async () => {
    const { decide } = await begin();
    const decision = await decide(packet());
    expect(decision).toMatchObject({ packetId: "run-1-step-480", reason: "plateau" });
    expect(signatureMatches(SECRET, decision.command!)).toBe(true);
    expect(decodeCommand(decision.command!.frame)).toMatchObject({
      commandId: "run-1/2/480",
      commandType: "SEED",
      audience: "run-1",
      targetSeedId: "seed-1",
      seedOperation: { operation: "GERMINATE" },
      annotations: { mesh_host_layers: '["hidden1"]', blend_mode: "RESIDUAL" },
    });
  });

  it("is on disk before it is answered", async () => {
    const { decide, directory } = await begin();
    const { command } = await decide(packet());
    const { commandId, seedOperation } = decodeCommand(command!.frame);
    expect(await reportsOnDisk(directory)).toMatchObject([
      {
        reportId: "report/run-1/2/480",
        commandId,
        blueprintId: seedOperation!.blueprintId,
        seedId: "seed-1",
        outcome: "NEUTRAL",
        notes: "plateau",
        metrics: { training_loss: 0.66, global_step: 480 },
      },
    ]);
  });

  it("for the same packet has the same id, and is reported once", async () => {
    const { decide, directory } = await begin();
    const first = await decide(packet());
    const second = await decide(packet());
    const idOf = (decision: typeof first) => decodeCommand(decision.command!.frame).commandId;
    expect(idOf(second)).toBe(idOf(first));
    expect(await reportsOnDisk(directory)).toHaveLength(1);
    const resumed = await decide(packet({ incarnation: 3 }));
    expect(idOf(resumed)).not.toBe(idOf(first));
    expect(await reportsOnDisk(directory)).toHaveLength(2);
  });

  it("waits for the log, and fails with it", async () => {
    let release: (() => void) | null = null;
    let full = false;
    const status = { published: 0, retries: 0, dropped: 0, pending: 0, retryBacklog: 0 };
    const slow = defineActor(import.meta.url, FieldReportsProtocol, {
      config: z.strictObject({}),
      setup: () => null,
      receive: {
        async record() {
          if (full) throw new EsperError("WAL_FULL", "no room");
          await new Promise<void>((resolve) => {
            release = resolve;
          });
          return { sequence: 1 };
        },
        connect: () => ({ pending: 0 }),
        disconnect: () => ({ pending: 0 }),
        endRun: () => ({ closed: 0 }),
        status: () => ({ ...status, windows: 0, connected: false }),
      },
    });
    const { decide } = await begin({ reports: slow });
    let answered = false;
    const decision = decide(packet()).then(() => {
      answered = true;
    });
    await until(() => release !== null);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(answered).toBe(false);
    release!();
    await decision;
    full = true;
    expect(await rejection(decide(packet({ globalStep: 496 })))).toMatchObject({
      code: "WAL_FULL",
    });
  });

  it("to hold carries no command and is reported all the same", async () => {
    const { decide, directory } = await begin({ policy: { conservative: true } });
    for (const globalStep of [480, 496, 512]) {
      expect(await decide(packet({ globalStep }))).toMatchObject({
        command: null,
        reason: "conservative_mode",
      });
    }
    const reports = await reportsOnDisk(directory);
    expect(reports.map(({ notes, commandId }) => [notes, commandId])).toEqual([
      ["conservative_mode", ""],
      ["conservative_mode", ""],
      ["conservative_mode", ""],
    ]);
  });

  it("reports how every seed ended, once", async () => {
    const { decide, directory } = await begin();
    const seed = {
      seedId: "seed-1",
      siteId: "hidden1",
      blueprintId: "BP009",
      stage: "FOSSILIZED",
      alpha: 1,
      parameters: 400,
      ageSteps: 300,
      germinatedAtStep: 170,
      settledAtStep: 470,
      gradientNorm: 1,
      gain: 0.25,
      reason: "passed",
    } as const;
    await decide(packet({ seedStates: [seed] }));
    await decide(packet({ seedStates: [seed], globalStep: 496 }));
    const settled = (await reportsOnDisk(directory)).filter(({ outcome }) => outcome !== "NEUTRAL");
    expect(settled).toMatchObject([
      { outcome: "SUCCESS", seedId: "seed-1", blueprintId: "BP009", metrics: { gain: 0.25 } },
    ]);
  });
});

describe("what a decision lacks", () => {
  it("a host site, is a violation of the guard: refused, seen and counted", async () => {
    const { decide, directory, telemetry } = await begin();
    expect(await rejection(decide(packet({ hostSites: [] })))).toMatchObject({
      code: "DEPENDENCY_VIOLATION",
    });
    expect(await reportsOnDisk(directory)).toMatchObject([
      { reportId: "failed/run-1/2/480", outcome: "ABORTED", notes: "DEPENDENCY_VIOLATION" },
    ]);
    expect(await decide(packet())).toMatchObject({ reason: "plateau" });
    const { events, metrics } = await telemetry();
    expect(events.filter(({ name }) => name === "dependency_guard.violation")).toMatchObject([
      {
        level: "CRITICAL",
        source: "tamiyo",
        attributes: { subsystem: "tamiyo", dependency_type: "host_sites", identifier: "run-1" },
      },
    ]);
    const counted = metrics.filter(({ name }) => name === "dependency_guard.violations_total");
    expect(counted.at(-1)).toMatchObject({
      value: 1,
      attributes: { subsystem: "tamiyo", type: "host_sites" },
    });
  });

  it("time for the policy, is a warning and not a missing decision", async () => {
    const { decide, telemetry } = await begin({ stepTimeoutMs: 1e-6 });
    expect((await decide(packet())).command).not.toBeNull();
    const { events } = await telemetry();
    expect(events.find(({ name }) => name === "timeout_inference")).toMatchObject({
      level: "WARNING",
      attributes: { packet_id: "run-1-step-480", budget_ms: 1e-6 },
    });
  });
});
