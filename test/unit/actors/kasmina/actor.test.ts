/** Kasmina among its real neighbours: the ledger on a real folder, the blueprint library. */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { kasmina } from "../../../../src/actors/kasmina/seed-manager.actor.ts";
import { nonceLedger } from "../../../../src/actors/ledger/nonce-ledger.actor.ts";
import { urza } from "../../../../src/actors/urza/urza.actor.ts";
import type { TelemetryBatch } from "../../../../src/protocols/actors/durable.ts";
import { KasminaProtocol, type KernelArtifact } from "../../../../src/protocols/actors/growth.ts";
import { encodeCommand } from "../../../../src/protocols/leyline/codec.ts";
import type {
  AdaptationCommand,
  SignedCommand,
} from "../../../../src/protocols/leyline/command.ts";
import { signFrame } from "../../../../src/protocols/leyline/signing.ts";
import type { ActorSystem } from "../../../../src/runtime/thread/system.ts";
import { actor, supervisor } from "../../../../src/runtime/topology.ts";
import { answering, collecting, holding } from "../../../fixtures/actors/stand-ins.ts";
import { artifactFor, Growth, testEngine } from "../../../fixtures/growth.ts";
import { rejection, startInline, testRun } from "../../runtime/support.ts";

const SECRET = "a secret of enough bytes";
const RUN = "run-1";
const DEADLINE = { deadlineMs: 5_000 } as const;

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) fs.rmSync(folder, { recursive: true });
});

interface Stage {
  readonly system: ActorSystem;
  readonly growth: Growth;
  readonly batches: TelemetryBatch[];
  readonly directory: string;
  apply(signed: SignedCommand): Promise<unknown>;
}

function newDirectory(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "esper-kasmina-"));
  folders.push(folder);
  return folder;
}

async function begin(
  options: { directory?: string; artifact?: (growth: Growth) => KernelArtifact } = {},
): Promise<Stage> {
  const directory = options.directory ?? newDirectory();
  const engine = await testEngine();
  const growth = await Growth.begin({}, engine);
  const batches: TelemetryBatch[] = [];
  const slot = { engine, network: growth.network, validation: growth.validation };
  const library = options.artifact === undefined ? urza : answering(options.artifact(growth));
  const ledger = { directory, runId: RUN, capacity: 1_024, freshnessMs: 60_000, ttlMs: 300_000 };
  const tree = supervisor({
    children: {
      nissa: actor(collecting(batches), { thread: "durable" }),
      ledger: actor(nonceLedger, { thread: "durable", config: () => ledger }),
      urza: actor(library, { thread: "control" }),
      holder: actor(holding(slot), { thread: "device" }),
      kasmina: actor(kasmina, {
        thread: "device",
        config: () => ({ secret: SECRET, growth: {} }),
      }),
    },
  });
  const { system } = await startInline(tree, {
    run: testRun({ runId: RUN, directory }),
    telemetry: { actor: "nissa" },
    encodeLocal: false,
  });
  const identity = { runId: RUN, incarnation: 1, seed: 5 };
  const ref = system.ref(KasminaProtocol);
  await ref.call("attach", { identity, snapshot: null }, DEADLINE);
  const apply = (command: SignedCommand) => ref.call("apply", { command, step: 0 }, DEADLINE);
  return { system, growth, batches, directory, apply };
}

let nextCounter = 1;

/** What cannot be put on the wire by the codec is not tested here, but in the codec's own tests. */
function command(changes: Partial<AdaptationCommand> = {}): AdaptationCommand {
  return {
    version: 1,
    commandId: `${RUN}/1/${nextCounter++}`,
    commandType: "SEED",
    targetSeedId: "seed-1",
    executionDeadlineMs: 2_000,
    issuedAtMs: Date.now(),
    issuedBy: "tamiyo",
    audience: RUN,
    seedOperation: { operation: "GERMINATE", blueprintId: "BP009", parameters: {} },
    annotations: { mesh_host_layers: '["hidden1"]', blend_mode: "RESIDUAL" },
    ...changes,
  };
}

const sign = (given: AdaptationCommand, secret = SECRET): SignedCommand =>
  signFrame(secret, encodeCommand(given));

/** Everything a refused command must leave alone. */
async function stateOf({ system, growth }: Stage): Promise<unknown> {
  const states = await system.ref(KasminaProtocol).call("states", { step: 0 }, DEADLINE);
  return {
    states,
    grafts: growth.network.grafts,
    tensors: growth.network.tensors(),
    digest: await growth.digest(),
  };
}

async function telemetryOf(stage: Stage) {
  await stage.system.stop({ graceMs: 2_000 });
  return {
    events: stage.batches.flatMap(({ events }) => events),
    metrics: stage.batches.flatMap(({ metrics }) => metrics),
  };
}

/** The command is refused with `code`, changes nothing, and is seen under `reason`. */
async function expectRefused(
  stage: Stage,
  signed: SignedCommand,
  refusal: { code: string; level: string; reason: string },
): Promise<void> {
  const before = await stateOf(stage);
  expect(await rejection(stage.apply(signed))).toMatchObject({ code: refusal.code });
  expect(await stateOf(stage)).toEqual(before);
  const { events, metrics } = await telemetryOf(stage);
  const { level, reason } = refusal;
  const rejected = events.filter(({ name }) => name === "command_rejected");
  expect(rejected).toMatchObject([{ level, source: "kasmina", attributes: { reason } }]);
  const name = "kasmina.command_verifier.rejections_total";
  const counted = metrics.filter((point) => point.name === name);
  expect(counted.at(-1)).toMatchObject({ value: 1, attributes: { reason } });
}

const without = (name: string): Record<string, string> => {
  const { [name]: _, ...rest } = command().annotations;
  return rest;
};
const annotated = (name: string, value: string) =>
  command({ annotations: { ...command().annotations, [name]: value } });

describe("a good command", () => {
  it("germinates, and is told as a gate event and a stage", async () => {
    const stage = await begin();
    expect(await stage.apply(sign(command()))).toMatchObject({
      transitions: [{ seedId: "seed-1", to: "GERMINATED", gate: { gate: "G0_SANITY" } }],
    });
    expect(stage.growth.network.grafts).toMatchObject([{ seedId: "seed-1", siteId: "hidden1" }]);
    const { events, metrics } = await telemetryOf(stage);
    expect(events.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["gate_event", "seed_stage"]),
    );
    expect(events.some(({ name }) => name === "command_rejected")).toBe(false);
    const name = "kasmina.command_verifier.accepted_total";
    expect(metrics.filter((point) => point.name === name).at(-1)?.value).toBe(1);
  });

  it("culls a seed on command, and culls it once", async () => {
    const stage = await begin();
    await stage.apply(sign(command()));
    const seedOperation = { operation: "CULL", blueprintId: "", parameters: {} } as const;
    expect(await stage.apply(sign(command({ seedOperation })))).toMatchObject({
      transitions: [{ to: "CULLED", reason: "cull_command" }],
    });
    expect(await stage.apply(sign(command({ seedOperation })))).toEqual({ transitions: [] });
    expect(stage.growth.network.grafts).toEqual([]);
  });
});

describe("a command that is refused changes nothing and is seen", () => {
  it.each<[string, string, string, string, () => SignedCommand]>([
    [
      "unsigned",
      "COMMAND_UNSIGNED",
      "CRITICAL",
      "missing_signature",
      () => ({ ...sign(command()), signature: "" }),
    ],
    [
      "signed with another secret",
      "COMMAND_FORGED",
      "CRITICAL",
      "invalid_signature",
      () => sign(command(), "another secret of enough bytes"),
    ],
    [
      "stale",
      "COMMAND_STALE",
      "CRITICAL",
      "stale_command",
      () => sign(command({ issuedAtMs: Date.now() - 120_000 })),
    ],
    [
      "dated in the future",
      "COMMAND_FUTURE",
      "ERROR",
      "issued_in_future",
      () => sign(command({ issuedAtMs: Date.now() + 60_000 })),
    ],
    [
      "without an id",
      "COMMAND_MISSING_ID",
      "ERROR",
      "missing_command_id",
      () => sign(command({ commandId: "" })),
    ],
    [
      "meant for another run",
      "COMMAND_INVALID",
      "ERROR",
      "command_invalid",
      () => sign(command({ audience: "run-2" })),
    ],
    [
      "not about a seed",
      "COMMAND_INVALID",
      "ERROR",
      "command_invalid",
      () => sign(command({ commandType: "PAUSE" })),
    ],
    [
      "for a nameless seed",
      "DEPENDENCY_VIOLATION",
      "CRITICAL",
      "dependency_violation",
      () => sign(command({ targetSeedId: " " })),
    ],
    [
      "without mesh_host_layers",
      "DEPENDENCY_VIOLATION",
      "CRITICAL",
      "dependency_violation",
      () => sign(command({ annotations: without("mesh_host_layers") })),
    ],
    [
      "with mesh_host_layers that are no list",
      "COMMAND_INVALID",
      "ERROR",
      "command_invalid",
      () => sign(annotated("mesh_host_layers", "hidden1")),
    ],
    [
      "for an unknown site",
      "DEPENDENCY_VIOLATION",
      "CRITICAL",
      "dependency_violation",
      () => sign(annotated("mesh_host_layers", '["hidden9"]')),
    ],
    [
      "with an unknown blend mode",
      "BLEND_INVALID",
      "ERROR",
      "blend_invalid",
      () => sign(annotated("blend_mode", "ADDITIVE")),
    ],
    [
      "for an unknown blueprint",
      "BLUEPRINT_UNKNOWN",
      "ERROR",
      "blueprint_unknown",
      () =>
        sign(
          command({
            seedOperation: { operation: "GERMINATE", blueprintId: "BP999", parameters: {} },
          }),
        ),
    ],
    [
      "with a parameter out of bounds",
      "BLUEPRINT_REFUSED",
      "ERROR",
      "blueprint_refused",
      () =>
        sign(
          command({
            seedOperation: {
              operation: "GERMINATE",
              blueprintId: "BP009",
              parameters: { depth: 99 },
            },
          }),
        ),
    ],
  ])("%s", async (_what, code, level, reason, signed) => {
    await expectRefused(await begin(), signed(), { code, level, reason });
  });

  it("with a missing dependency, as a violation of the guard as well", async () => {
    const stage = await begin();
    await rejection(stage.apply(sign(annotated("mesh_host_layers", '["hidden9"]'))));
    const { events, metrics } = await telemetryOf(stage);
    expect(events.find(({ name }) => name === "dependency_guard.violation")).toMatchObject({
      level: "CRITICAL",
      attributes: { subsystem: "kasmina", dependency_type: "host_site", identifier: "hidden9" },
    });
    expect(metrics.some(({ name }) => name === "dependency_guard.violations_total")).toBe(true);
  });

  it("with any one character of its signature or any byte of its frame changed", async () => {
    const stage = await begin();
    const before = await stateOf(stage);
    const signed = sign(command());
    const forged: SignedCommand[] = [];
    for (let at = 0; at < signed.signature.length; at++) {
      for (const other of ["A", "z", "-", " ", "="]) {
        const { signature } = signed;
        if (signature[at] === other) continue;
        const changed = signature.slice(0, at) + other + signature.slice(at + 1);
        forged.push({ ...signed, signature: changed });
      }
    }
    forged.push({ ...signed, signature: `${signed.signature}A` });
    forged.push({ ...signed, signature: signed.signature.replace("=", "") });
    for (let at = 0; at < signed.frame.length; at += 3) {
      const frame = signed.frame.slice();
      frame[at] = frame[at]! ^ 1;
      forged.push({ ...signed, frame });
    }
    for (const given of forged) {
      expect(await rejection(stage.apply(given)), given.signature).toMatchObject({
        code: "COMMAND_FORGED",
      });
    }
    expect(await stateOf(stage)).toEqual(before);
    expect(await stage.apply(signed)).toMatchObject({ transitions: [{ to: "GERMINATED" }] });
  });

  it("with an artifact whose checksum is not that of its module", async () => {
    const artifact = (growth: Growth): KernelArtifact => {
      const good = artifactFor(growth.network.sites[0]!);
      return { ...good, module: artifactFor(growth.network.sites[0]!, "BP028").module };
    };
    const stage = await begin({ artifact });
    const refusal = { level: "ERROR", reason: "blueprint_refused" };
    await expectRefused(stage, sign(command()), { code: "BLUEPRINT_REFUSED", ...refusal });
    const failures = stage.batches.flatMap(({ events }) => events);
    expect(failures.find(({ name }) => name === "gate_failure")).toMatchObject({
      level: "CRITICAL",
      attributes: { reason: "checksum_mismatch", blueprint_id: "BP009" },
    });
  });

  it.each([
    ["another run's id", "run-of-another/1/7", "COMMAND_INVALID", "ERROR", "command_invalid"],
    ["an id of no run", "command-7", "COMMAND_INVALID", "ERROR", "command_invalid"],
    ["an id of a later incarnation", `${RUN}/2/7`, "COMMAND_STALE", "CRITICAL", "stale_command"],
  ])("with %s", async (_what, commandId, code, level, reason) => {
    await expectRefused(await begin(), sign(command({ commandId })), { code, level, reason });
  });

  it("when its seed lives already", async () => {
    const stage = await begin();
    await stage.apply(sign(command()));
    const refusal = { level: "ERROR", reason: "command_illegal_transition" };
    await expectRefused(stage, sign(command()), { code: "COMMAND_ILLEGAL_TRANSITION", ...refusal });
  });
});

describe("a replay", () => {
  const refusal = { code: "COMMAND_REPLAYED", level: "CRITICAL", reason: "nonce_replayed" };

  it("is refused, also under another signature of the same id", async () => {
    const stage = await begin();
    const given = command();
    await stage.apply(sign(given));
    await expectRefused(stage, sign({ ...given, targetSeedId: "seed-2" }), refusal);
  });

  it("is refused by a system that was started anew on the same folder", async () => {
    const first = await begin();
    const signed = sign(command());
    await first.apply(signed);
    await first.system.stop({ graceMs: 2_000 });
    await expectRefused(await begin({ directory: first.directory }), signed, refusal);
  });

  it("is refused even when the command was never carried out", async () => {
    const stage = await begin();
    const signed = sign(annotated("blend_mode", "ADDITIVE"));
    expect(await rejection(stage.apply(signed))).toMatchObject({ code: "BLEND_INVALID" });
    expect(await rejection(stage.apply(signed))).toMatchObject({ code: "COMMAND_REPLAYED" });
  });
});
