/**
 * Kasmina's seed manager on the device thread, in the tree of the main job. It fetches a blueprint
 * when a command asks for it; there is no prefetch yet whose mailbox or restart could be tested.
 */
import { expect, it } from "vitest";
import { KasminaProtocol } from "../../../dist/protocols/actors/growth.js";
import { until } from "../../unit/runtime/support.ts";
import { CancellationToken } from "../built.ts";
import { type HeldRun, startRun } from "./run.ts";
import { burst, DEADLINE, expectOwnThread, killAndAwait, pause } from "./support.ts";

const { encodeCommand } = await import("../../../dist/protocols/leyline/codec.js");
const { signFrame } = await import("../../../dist/protocols/leyline/signing.js");

/** A run that is over: its network is still on the device, and nothing else grows it. */
async function overRun() {
  const run = await startRun({ epochs: 2 });
  await run.done;
  const ref = run.system.ref(KasminaProtocol, "kasmina");
  const seeds = async () => (await ref.call("states", { step: 9 }, DEADLINE)).seeds;
  return { ...run, ref, seeds };
}

/** A signed command to germinate, as the controller sends it. */
function germinate({ order, secret }: Pick<HeldRun, "order" | "secret">, counter: number) {
  const { runId, incarnation } = order.identity;
  const commandId = `${runId}/${incarnation}/${counter}`;
  const frame = encodeCommand({
    ...{ version: 1, commandId, commandType: "SEED", targetSeedId: `seed-c${counter}` },
    ...{ executionDeadlineMs: 2_000, issuedAtMs: Date.now(), issuedBy: "tamiyo" },
    audience: runId,
    seedOperation: { operation: "GERMINATE", blueprintId: "BP009", parameters: {} },
    annotations: { mesh_host_layers: JSON.stringify(["hidden1"]) },
  });
  return { command: signFrame(secret, frame), step: 9 };
}

it("has a worker thread, and obeys one command once although it floods the mailbox", async () => {
  const { ref, seeds, ...run } = await overRun();
  await expectOwnThread(run.system, "kasmina", "device");
  const order = germinate(run, 1);
  const ends = await burst(1_000, () => ref.call("apply", order, DEADLINE));
  expect(ends.filter((end) => end === "value")).toHaveLength(1);
  expect(new Set(ends)).toEqual(new Set(["value", "COMMAND_REPLAYED", "MAILBOX_FULL"]));
  expect((await seeds()).map(({ seedId }) => seedId)).toEqual(["seed-c1"]);
  expect(run.system.restarts).toBe(0);
});

it("grows nothing for a command that was cancelled, on its way or in hand", async () => {
  const { ref, seeds, ...run } = await overRun();
  for (const delayMs of [0, 1]) {
    const token = new CancellationToken();
    const ends = burst(1, () =>
      ref.call("apply", germinate(run, 10 + delayMs), { ...DEADLINE, token }),
    );
    if (delayMs > 0) await pause(delayMs);
    token.cancel();
    const [end] = await ends;
    const grown = (await seeds()).map(({ seedId }) => seedId);
    await pause(50);
    expect((await seeds()).map(({ seedId }) => seedId)).toEqual(grown);
    if (end === "CANCELLED") expect(grown).toEqual([]);
    if (delayMs === 0) expect(end).toBe("CANCELLED");
    if (grown.length > 0) return;
  }
  expect((await ref.call("apply", germinate(run, 9), DEADLINE)).transitions).not.toEqual([]);
  expect(await seeds()).toHaveLength(1);
});

it("brings a seed through its life although its thread is killed in the middle of it", async () => {
  const wishes = { epochs: 800, growth: true };
  const calm = await startRun(wishes);
  const expected = await calm.done;
  await calm.system.stop({ graceMs: 3_000 });
  expect(calm.transitions.map(({ to }) => to)).toContain("FOSSILIZED");
  const run = await startRun(wishes);
  await until(() => run.transitions.some(({ to }) => to === "SHADOWING"), 60_000);
  await killAndAwait(run.system, run.events, "kasmina");
  const result = await run.done;
  expect(run.events.filter(({ kind }) => kind === "thread-exit")).toHaveLength(1);
  expect(result).toMatchObject({ digest: expected.digest, seeds: expected.seeds });
  await run.system.stop({ graceMs: 3_000 });
  expect(run.rows()).toEqual(calm.rows());
});
