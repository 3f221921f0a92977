/** Tamiyo's evaluator on the control thread, with the real library and the real log beside it. */
import { expect, it } from "vitest";
import { TamiyoProtocol } from "../../../dist/protocols/actors/growth.js";
import type { SystemStatePacket } from "../../../dist/protocols/leyline/state.js";
import { probe } from "../../fixtures/actors/thread-probe.mjs";
import { actor, CancellationToken, startThreads, supervisor } from "../built.ts";
import {
  burst,
  DEADLINE,
  expectOwnThread,
  newDirectory,
  pause,
  RETRY,
  readLog,
  whileKilled,
} from "./support.ts";

const { walWriter } = await import("../../../dist/actors/wal/wal-writer.actor.js");
const { tamiyo } = await import("../../../dist/actors/tamiyo/evaluator.actor.js");
const { fieldReports } = await import(
  "../../../dist/actors/tamiyo/field-reports/field-reports.actor.js"
);
const { urza } = await import("../../../dist/actors/urza/urza.actor.js");
const { decodeCommand, decodeFieldReport } = await import(
  "../../../dist/protocols/leyline/codec.js"
);

const SECRET = "a secret of enough bytes";

async function begin() {
  const directory = newDirectory();
  const log = { directory, strict: true, retentionHours: 24 };
  const config = { secret: SECRET, policy: {}, stepTimeoutMs: 0, blendMode: "RESIDUAL" };
  const started = await startThreads(
    supervisor({
      ...{ intensity: 10, periodMs: 1_000 },
      children: {
        wal: actor(walWriter, { thread: "durable", config: () => log }),
        reports: actor(fieldReports, {
          thread: "durable",
          config: () => ({ observationWindow: 1 }),
        }),
        urza: actor(urza, { thread: "control" }),
        tamiyo: actor(tamiyo, { thread: "control", config: () => config }),
        probe: actor(probe, { thread: "control" }),
      },
    }),
  );
  const ref = started.system.ref(TamiyoProtocol, "tamiyo");
  const decide = (step: number, options: Parameters<typeof ref.call>[2] = DEADLINE) =>
    ref.call("decide", { packet: packet(step) }, options);
  return { ...started, decide, directory };
}

/** A long plateau, so that the policy grows; in every fifth the loss falls, so it holds. */
function packet(step: number): SystemStatePacket {
  const falling = step % 5 === 0;
  const history = Array.from({ length: 60 }, (_, index) => {
    const loss = falling ? 1 / (1 + index) : 0.66;
    const score = falling ? 1 - loss : 0.6;
    return {
      ...{ epoch: index + 1, step: (index + 1) * 8 },
      ...{ trainingLoss: loss, validationLoss: loss },
      ...{ trainingScore: score, validationScore: score },
    };
  });
  return {
    ...{ version: 1, packetId: `p${step}`, trainingRunId: "run-1", incarnation: 1 },
    ...{ currentEpoch: 60, globalStep: step, trainingLoss: 0.66, validationLoss: 0.66 },
    ...{ validationAccuracy: 0.6, trainingMetrics: { loss_delta: -0.01, decide_every: 16 } },
    ...{ seedStates: [], hostParameters: 50, totalParameters: 50, stepsLeft: 5_000, seed: 7 },
    hostSites: [{ siteId: "hidden1", kind: "vector", shape: [8], depth: 0 }],
    history,
  };
}

/** What must be equal in equal decisions: everything but the instant. */
function timeless(decision: Awaited<ReturnType<Awaited<ReturnType<typeof begin>>["decide"]>>) {
  const { command, ...rest } = decision;
  if (command === null) return rest;
  return { ...rest, command: { ...decodeCommand(command.frame), issuedAtMs: 0 } };
}

async function reports(directory: string) {
  const log = await readLog(directory);
  return log.map(({ id, bytes }) => ({
    id,
    report: { ...decodeFieldReport(Uint8Array.from(bytes)), issuedAtMs: 0 },
  }));
}

it("runs on its own worker thread", async () => {
  const { system } = await begin();
  await expectOwnThread(system, "tamiyo", "control");
});

it("refuses what its full mailbox cannot hold, and reports exactly what it decided", async () => {
  const { system, decide, directory } = await begin();
  const ends = await burst(300, (step) => decide(step));
  expect(new Set(ends)).toEqual(new Set(["value", "MAILBOX_FULL"]));
  const decided = ends.flatMap((end, step) => (end === "value" ? [`report/run-1/1/${step}`] : []));
  expect(decided.length).toBeGreaterThanOrEqual(64);
  expect((await decide(1_000)).packetId).toBe("p1000");
  await system.stop({ graceMs: 3_000 });
  const ids = (await readLog(directory)).map(({ id }) => id);
  expect(ids).toEqual([...decided, "report/run-1/1/1000"]);
});

it("reports nothing for a decision after it was cancelled", async () => {
  const { system, decide, directory } = await begin();
  const token = new CancellationToken();
  const ends = burst(20, (step) => decide(step, step < 8 ? DEADLINE : { ...DEADLINE, token }));
  token.cancel();
  expect(await ends).toEqual([...Array(8).fill("value"), ...Array(12).fill("CANCELLED")]);
  const early = new CancellationToken();
  const inHand = burst(1, () => decide(50, { ...DEADLINE, token: early }));
  await pause(1);
  early.cancel();
  expect(["value", "CANCELLED"]).toContain((await inHand)[0]);
  await decide(99);
  await pause(30);
  await system.stop({ graceMs: 3_000 });
  const ids = (await readLog(directory)).map(({ id }) => id);
  for (let step = 8; step < 20; step++) expect(ids).not.toContain(`report/run-1/1/${step}`);
  expect(ids.at(-1)).toBe("report/run-1/1/99");
});

it("decides as it would have when its thread is killed twice in the middle", async () => {
  const undisturbed = await begin();
  const disturbed = await begin();
  const decisions: unknown[][] = [];
  for (const one of [undisturbed, disturbed]) {
    const plan = { steps: 60, killedBefore: one === disturbed ? [20, 40] : [] };
    const decide = async (step: number) => timeless(await one.decide(step, RETRY));
    decisions.push(await whileKilled(one, "tamiyo", plan, decide));
  }
  expect(disturbed.system.restarts).toBeGreaterThanOrEqual(6);
  expect(new Set(decisions[0]!.map((one) => "command" in (one as object))).size).toBe(2);
  expect(decisions[1]).toEqual(decisions[0]);
  await undisturbed.system.stop({ graceMs: 3_000 });
  await disturbed.system.stop({ graceMs: 3_000 });
  expect(await reports(disturbed.directory)).toEqual(await reports(undisturbed.directory));
});
