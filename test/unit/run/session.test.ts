import { describe, expect, it } from "vitest";
import type { RunOrder, RunResult } from "../../../src/protocols/actors/growth.ts";
import { EsperError } from "../../../src/protocols/errors.ts";
import type { RunEvent } from "../../../src/protocols/run.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { decodeCheckpoint, encodeCheckpoint } from "../../../src/runtime/durable/checkpoint.ts";
import { CheckpointStore } from "../../../src/runtime/durable/checkpoint-store.ts";
import { RunSession } from "../../../src/runtime/run/session.ts";
import { VirtualClock } from "../../../src/runtime/testkit/virtual-clock.ts";
import { MemoryFiles } from "../../fixtures/memory-files.ts";
import { until } from "../runtime/support.ts";

const sample = (step: number) => {
  return { meta: { step }, arrays: { w: Float32Array.of(step) } };
};

const order = {
  identity: { runId: "run", incarnation: 3, seed: 1 },
  checkpoint: null,
  missedDecisions: [],
} as unknown as RunOrder;

function newSession(changes: Partial<ConstructorParameters<typeof RunSession>[0]> = {}) {
  const files = new MemoryFiles();
  const events: RunEvent[] = [];
  const saved: (readonly [number, readonly number[]])[] = [];
  const session = new RunSession({
    order,
    store: new CheckpointStore(files, "/run/checkpoints"),
    observer: { on: (event) => events.push(event) },
    clock: systemClock,
    saveIncarnation: async (incarnation, missed) => void saved.push([incarnation, missed]),
    readMisses: async () => [48],
    ...changes,
  });
  const notices = (): string[] =>
    events.flatMap((event) => (event.kind === "notice" ? [event.message] : []));
  return { session, files, notices, saved };
}

/** The step of the checkpoint that a restarted trainer gets; null for a new beginning. */
async function nextStep(session: RunSession): Promise<unknown> {
  const next = await session.nextOrder(2);
  if (next?.checkpoint === null || next === null) return null;
  return decodeCheckpoint(next.checkpoint, "the order's").meta["step"];
}

describe("a run session", () => {
  it("gives every trainer after the first a new, durable incarnation", async () => {
    const { session, saved } = newSession();
    expect((await session.nextOrder(1))?.identity.incarnation).toBe(3);
    const second = await session.nextOrder(2);
    expect(second?.identity.incarnation).toBe(4);
    expect(second?.missedDecisions).toEqual([48]);
    expect(saved).toEqual([[4, [48]]]);
  });

  it("lets a restarted trainer continue from the last stored checkpoint", async () => {
    const { session } = newSession();
    await session.nextOrder(1);
    await session.storeCheckpoint(256, sample(256), false);
    expect(await nextStep(session)).toBe(256);
  });

  it("passes over a checkpoint that was damaged on the disk, and says so", async () => {
    const { session, files, notices } = newSession();
    await session.nextOrder(1);
    for (const step of [256, 512]) await session.storeCheckpoint(step, sample(step), false);
    files.putBytes("/run/checkpoints/step-000000000512.ckpt", new Uint8Array(99));
    expect(await nextStep(session)).toBe(256);
    expect(notices()).toEqual([expect.stringContaining("step-000000000512.ckpt")]);
  });

  it("goes back to where this process began when the disk has nothing left", async () => {
    const checkpoint = encodeCheckpoint(sample(64));
    const { session } = newSession({ order: { ...order, checkpoint } });
    await session.nextOrder(1);
    expect(await nextStep(session)).toBe(64);
  });

  it("keeps the old checkpoint when one could not be stored, and stores the next", async () => {
    const { session, files, notices } = newSession();
    await session.nextOrder(1);
    await session.storeCheckpoint(1, sample(1), false);
    files.fault = (operation) => (operation === "write" ? "ENOSPC" : null);
    for (const step of [2, 3]) {
      await expect(session.storeCheckpoint(step, sample(step), false)).rejects.toMatchObject({
        code: "STORAGE_FULL",
      });
    }
    files.fault = () => null;
    expect(await nextStep(session)).toBe(1);
    await session.storeCheckpoint(4, sample(4), false);
    // Told once that it fails and once that it is over.
    expect(notices()).toEqual([
      expect.stringContaining("no checkpoint of step 2"),
      expect.stringContaining("stored again, from step 4"),
    ]);
  });

  it("stores no state whose numbers are broken", async () => {
    const { session } = newSession();
    await session.nextOrder(1);
    const finite = (weight: number) => ({ meta: {}, arrays: { w: Float32Array.of(1, weight) } });
    await session.storeCheckpoint(8, finite(2), false);
    await expect(session.storeCheckpoint(16, finite(Number.NaN), false)).rejects.toMatchObject({
      code: "LOSS_NOT_FINITE",
      details: { step: 16, array: "w" },
    });
    expect((await session.restore(99))?.step).toBe(8);
  });

  it("stores one after the other, and refuses a third while the disk holds up two", async () => {
    const { session } = newSession();
    await session.nextOrder(1);
    const stored = [1, 2, 3].map((step) => session.storeCheckpoint(step, sample(step), false));
    expect(await Promise.allSettled(stored)).toMatchObject([
      { value: true },
      { value: true },
      { reason: { code: "BACKLOG_FULL" } },
    ]);
    expect(await session.storeCheckpoint(4, sample(4), false)).toBe(true);
  });

  it("waits for a save under way before a trainer starts again, but not for ever", async () => {
    const clock = new VirtualClock();
    let finish = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const slow = new CheckpointStore(new MemoryFiles(), "/run/checkpoints");
    const save = slow.save.bind(slow);
    slow.save = async (...args) => held.then(() => save(...args));
    const { session } = newSession({ clock, store: slow });
    await session.nextOrder(1);
    const stored = session.storeCheckpoint(8, sample(8), false);
    const impatient = nextStep(session);
    await until(() => clock.waiting === 1);
    clock.advance(5_000);
    expect(await impatient).toBeNull();
    // It was under way before the new incarnation, and is a good state all the same.
    finish();
    expect(await stored).toBe(true);
    expect(await nextStep(session)).toBe(8);
  });

  it("stores nothing for an incarnation that is over", async () => {
    const { session, files } = newSession();
    await session.nextOrder(1);
    const first = session.storeCheckpoint(1, sample(1), false);
    const second = session.storeCheckpoint(2, sample(2), false);
    const renewed = session.rollBack([]);
    expect(await Promise.all([first, second])).toEqual([true, false]);
    await renewed;
    expect((await files.list("/run/checkpoints")).length).toBe(2);
  });

  it("ends the run when a restart cannot be made durable", async () => {
    const { session } = newSession({
      saveIncarnation: async () => {
        throw new EsperError("STORAGE_FULL", "no room");
      },
    });
    await session.nextOrder(1);
    expect(await session.nextOrder(2)).toBeNull();
    await expect(session.done).rejects.toMatchObject({ code: "STORAGE_FULL" });
  });

  it("gives a trainer that goes back a new incarnation and every miss there was", async () => {
    const { session, saved } = newSession();
    await session.nextOrder(1);
    const renewed = await session.rollBack([16, 80]);
    expect(renewed).toEqual({ incarnation: 4, missedDecisions: [16, 48, 80] });
    expect(saved).toEqual([[4, [16, 48, 80]]]);
    expect([session.current(3), session.current(4)]).toEqual([false, true]);
    expect((await session.nextOrder(2))?.missedDecisions).toEqual([16, 48, 80]);
  });

  it("finds the newest stored state up to a step", async () => {
    const { session } = newSession();
    await session.nextOrder(1);
    expect(await session.restore(100)).toBeNull();
    for (const step of [16, 32]) await session.storeCheckpoint(step, sample(step), false);
    expect((await session.restore(31))?.step).toBe(16);
    expect((await session.restore(100))?.bytes).toEqual(encodeCheckpoint(sample(32)));
  });

  it("ignores reports of an earlier incarnation and of a finished run", async () => {
    const { session } = newSession();
    await session.nextOrder(1);
    expect(session.current(3)).toBe(true);
    await session.nextOrder(2);
    expect(session.current(3)).toBe(false);
    session.finished({} as RunResult);
    expect(session.current(4)).toBe(false);
    expect(await session.nextOrder(3)).toBeNull();
  });

  it("settles `done` with the result, or with a coded error", async () => {
    const good = newSession().session;
    good.finished({ step: 7 } as RunResult);
    expect((await good.done).step).toBe(7);
    const bad = newSession().session;
    bad.failed("LOSS_NOT_FINITE", "the loss is NaN");
    await expect(bad.done).rejects.toMatchObject({ code: "LOSS_NOT_FINITE" });
  });
});
