/** Tolaria's epoch runner on the device thread, in the tree of the main job, training for real. */
import { beforeAll, expect, it } from "vitest";
import { type RunResult, TolariaProtocol } from "../../../dist/protocols/actors/growth.js";
import type { ActorSystem } from "../../../dist/runtime/thread/system.js";
import { until } from "../../unit/runtime/support.ts";
import { CancellationToken } from "../built.ts";
import { startRun } from "./run.ts";
import { burst, DEADLINE, expectOwnThread, killAndAwait, pause } from "./support.ts";

const EPOCHS = 300;
const STEPS = 600;

/** The undisturbed training, with which the others are compared. */
let calm: { readonly result: RunResult; readonly rows: readonly string[] };

beforeAll(async () => {
  const { done, rows, system } = await startRun({ epochs: EPOCHS });
  const result = await done;
  await system.stop({ graceMs: 3_000 });
  calm = { result, rows: rows() };
});

it("trains on, step for step, while its mailbox is kept full", async () => {
  const { system, done, events, rows } = await startRun({ epochs: EPOCHS });
  const ref = system.ref(TolariaProtocol, "tolaria");
  let refused = 0;
  const flood = setInterval(() => {
    for (let count = 0; count < 100; count++) if (!ref.cast("work", null)) refused += 1;
  }, 1);
  const result = await done.finally(() => clearInterval(flood));
  expect(refused).toBeGreaterThan(100);
  await until(() => {
    const letters = events.flatMap((event) =>
      event.kind === "dead-letter" && event.actor === "tolaria" ? [event] : [],
    );
    const full = letters.filter(({ from }) => from === "main");
    return full.reduce((sum, { count }) => sum + count, 0) === refused;
  });
  expect(system.restarts).toBe(0);
  expect(result).toMatchObject({ step: STEPS, digest: calm.result.digest });
  await system.stop({ graceMs: 3_000 });
  expect(rows()).toEqual(calm.rows);
});

it("has a worker thread, and does not begin what was cancelled before it began", async () => {
  const { system, order, runEvents, done } = await startRun({ epochs: EPOCHS, begins: false });
  await expectOwnThread(system, "tolaria", "device");
  const ref = system.ref(TolariaProtocol, "tolaria");
  for (const delayMs of [0, 1, 3]) {
    const token = new CancellationToken();
    const ends = burst(3, () => ref.call("begin", order, { ...DEADLINE, token }));
    if (delayMs > 0) await pause(delayMs);
    token.cancel();
    expect(await ends).toEqual(["CANCELLED", "CANCELLED", "CANCELLED"]);
  }
  await until(() => ref.depth === 0 && !isBusy(system));
  await pause(100);
  expect(runEvents).toEqual([]);
  await ref.call("begin", order, DEADLINE);
  expect(await done).toMatchObject({ step: STEPS, digest: calm.result.digest });
});

it("ends as the undisturbed training does when its thread is killed", async () => {
  const { system, events, done, rows, step } = await startRun({ epochs: EPOCHS });
  await until(() => step() >= STEPS / 4, 30_000);
  await killAndAwait(system, events, "tolaria");
  const result = await done;
  expect(events.filter(({ kind }) => kind === "thread-exit")).toHaveLength(1);
  const { digest, last } = calm.result;
  expect(result).toMatchObject({ step: STEPS, digest, last });
  await system.stop({ graceMs: 3_000 });
  expect(rows()).toEqual(calm.rows);
});

/** True while the trainer has a message in hand. */
function isBusy(system: ActorSystem): boolean {
  const all = system
    .inspect()
    .tree.children.flatMap((child) => (child.kind === "actor" ? [child] : [...child.children]));
  const found = all.find(({ name }) => name === "tolaria");
  if (found?.kind !== "actor") throw new Error("there is no trainer in the tree");
  return found.current !== null;
}
