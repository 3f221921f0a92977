import { describe, expect, it } from "vitest";
import type { RunOrder, RunResult } from "../../../src/protocols/actors/growth.ts";
import type { RunEvent } from "../../../src/protocols/run.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import type { CheckpointStore } from "../../../src/runtime/durable/checkpoint-store.ts";
import { RunSession } from "../../../src/runtime/run/session.ts";

const order = {
  identity: { runId: "run", incarnation: 3, seed: 1 },
  checkpoint: null,
  missedDecisions: [],
} as unknown as RunOrder;

function newSession(save: () => Promise<string> = async () => "path") {
  const events: RunEvent[] = [];
  const incarnations: number[] = [];
  const session = new RunSession({
    order,
    store: { save } as unknown as CheckpointStore,
    observer: { on: (event) => events.push(event) },
    clock: systemClock,
    saveIncarnation: async (incarnation) => {
      incarnations.push(incarnation);
    },
    readMisses: async () => [48],
  });
  return { session, events, incarnations };
}

describe("a run session", () => {
  it("gives every trainer after the first a new, durable incarnation", async () => {
    const { session, incarnations } = newSession();
    expect((await session.nextOrder(1))?.identity.incarnation).toBe(3);
    const second = await session.nextOrder(2);
    expect(second?.identity.incarnation).toBe(4);
    expect(second?.missedDecisions).toEqual([48]);
    expect(incarnations).toEqual([4]);
  });

  it("lets a restarted trainer continue from the last stored checkpoint", async () => {
    const { session } = newSession();
    await session.nextOrder(1);
    await session.storeCheckpoint(256, new Uint8Array([1, 2]), false);
    expect((await session.nextOrder(2))?.checkpoint).toEqual(new Uint8Array([1, 2]));
  });

  it("keeps the old checkpoint when the new one could not be stored", async () => {
    const { session } = newSession(async () => {
      throw new Error("no room");
    });
    await session.nextOrder(1);
    await expect(session.storeCheckpoint(1, new Uint8Array([9]), false)).rejects.toThrow("no room");
    expect((await session.nextOrder(2))?.checkpoint).toBeNull();
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
