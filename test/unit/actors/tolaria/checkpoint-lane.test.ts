import { describe, expect, it } from "vitest";
import { CheckpointLane } from "../../../../src/actors/tolaria/checkpoint-lane.ts";
import type { Capture } from "../../../../src/actors/tolaria/ports.ts";
import { EsperError } from "../../../../src/protocols/errors.ts";
import { rejection } from "../../runtime/support.ts";

const capture = (step: number, final = false): Capture => {
  return { step, final, checkpoint: { meta: {}, arrays: {} }, tookMs: 0 };
};
const ready = Promise.resolve();

/** A disk that stores what it is told to, when it is told to. */
function newLane() {
  const sent: number[] = [];
  const failed: string[] = [];
  const superseded: number[] = [];
  const waiting: { resolve: () => void; reject: (error: unknown) => void }[] = [];
  const lane = new CheckpointLane({
    send: ({ step }) => {
      sent.push(step);
      return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
    },
    failed: ({ step }, { code }) => failed.push(`${step} ${code}`),
    superseded: ({ step }) => superseded.push(step),
  });
  /** Settles the oldest one under way, and lets what follows from it happen. */
  const settle = async (error?: unknown): Promise<void> => {
    const next = waiting.shift();
    if (error === undefined) next?.resolve();
    else next?.reject(error);
    await new Promise(setImmediate);
  };
  return { lane, sent, failed, superseded, settle };
}

describe("the way of checkpoints to the disk", () => {
  it("holds one under way and the newest that waits, and never more", async () => {
    const { lane, sent, superseded, settle } = newLane();
    lane.offer(capture(1), ready);
    await settle();
    for (const step of [2, 3, 4]) lane.offer(capture(step), ready);
    expect([sent, superseded]).toEqual([[1], [2, 3]]);
    await settle();
    expect(sent).toEqual([1, 4]);
    await settle();
    lane.offer(capture(5), ready);
    await settle();
    expect([sent, superseded]).toEqual([
      [1, 4, 5],
      [2, 3],
    ]);
  });

  it("goes on after a failure, which is told and is nobody's end", async () => {
    const { lane, sent, failed, settle } = newLane();
    lane.offer(capture(1), ready);
    await settle();
    await settle(new EsperError("STORAGE_FULL", "no room"));
    lane.offer(capture(2), ready);
    await settle();
    await settle();
    lane.offer(capture(3), ready);
    await settle();
    expect([sent, failed]).toEqual([[1, 2, 3], ["1 STORAGE_FULL"]]);
  });

  it("sends nothing before the rows up to its step are on disk", async () => {
    const { lane, sent, failed, settle } = newLane();
    let written = (): void => undefined;
    const rows = new Promise<void>((resolve) => {
      written = resolve;
    });
    lane.offer(capture(1), rows);
    await settle();
    expect(sent).toEqual([]);
    written();
    await settle();
    expect(sent).toEqual([1]);
    await settle();
    lane.offer(capture(2), Promise.reject(new EsperError("STORAGE_FAILED", "no rows")));
    await settle();
    expect([sent, failed]).toEqual([[1], ["2 STORAGE_FAILED"]]);
  });

  it("sends the last one after what is under way, in place of what waits", async () => {
    const { lane, sent, superseded, settle } = newLane();
    lane.offer(capture(1), ready);
    await settle();
    lane.offer(capture(2), ready);
    const finished = lane.finish(capture(3, true), ready);
    await settle(new EsperError("STORAGE_FULL", "no room"));
    expect([sent, superseded]).toEqual([[1, 3], [2]]);
    await settle();
    await finished;
    const refused = rejection(lane.finish(capture(4, true), ready));
    await settle();
    await settle(new EsperError("STORAGE_FULL", "no room"));
    expect(await refused).toMatchObject({ code: "STORAGE_FULL" });
  });

  it("does not lose a bug because nobody waited for it", async () => {
    const { lane, settle } = newLane();
    lane.offer(capture(1), ready);
    await settle();
    await settle(new TypeError("a bug"));
    expect(() => lane.offer(capture(2), ready)).toThrow("a bug");
    expect(await rejection(lane.finish(capture(2, true), ready))).toBeInstanceOf(TypeError);
  });
});
