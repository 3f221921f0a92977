/** Everything that decides how a run goes on is in its checkpoints: proven on each of a run's. */
import { describe, expect, it } from "vitest";
import { decodeTraining, readTraining } from "../../../../src/actors/tolaria/checkpoint.ts";
import { decodeCheckpoint, encodeCheckpoint } from "../../../../src/runtime/durable/checkpoint.ts";
import { testEngine } from "../../../fixtures/growth.ts";
import { germinateAt, Training, type TrainingWishes } from "../../../fixtures/training.ts";

const schedules: readonly TrainingWishes[] = [
  { options: { optimizer: "adam" }, schedule: { lrPolicy: "cosine", lrWarmupSteps: 20 } },
  { options: { optimizer: "sgd" }, schedule: { lrPolicy: "step", lrWarmupSteps: 0 } },
];

describe("a run of ten epochs", () => {
  it.each(schedules)("ends the same from every checkpoint of it: %o", async (wishes) => {
    const engine = await testEngine();
    const options = { maxEpochs: 10, batchSize: 8, checkpointEverySteps: 16, ...wishes.options };
    const decide = germinateAt(32);
    const whole = new Training(engine, { ...wishes, decide, options });
    expect(await whole.toEnd()).toBe("completed");
    const last = whole.stored.at(-1)!;
    expect(last).toMatchObject({ step: 200, final: true });
    expect(whole.stored.length).toBeGreaterThanOrEqual(12);
    for (const { step, bytes } of whole.stored) {
      // Today's settings must not matter to a run that began with others.
      const again = new Training(engine, { decide, options, checkpoint: bytes });
      expect(await again.toEnd()).toBe("completed");
      expect(again.results[0]?.digest, `from step ${step}`).toBe(whole.results[0]?.digest);
      expect(again.rowsAfter(step), `from step ${step}`).toEqual(whole.rowsAfter(step));
      // Not only the weights: everything, to the last bit.
      const final = Buffer.from(again.stored.at(-1)!.bytes);
      expect(final.equals(last.bytes), `from step ${step}`).toBe(true);
      again.growth.network.dispose();
    }
  });
});

describe("a stored training state", () => {
  const stored = async (): Promise<Uint8Array> => {
    const training = new Training(await testEngine());
    await training.steps(17);
    return training.stored[0]!.bytes;
  };

  it("is refused when its numbers are no weights", async () => {
    const { meta, arrays } = decodeCheckpoint(await stored(), "a");
    const [name, first] = Object.entries(arrays)[0]!;
    const other = { ...arrays, [name]: Float64Array.from(first) };
    expect(() => readTraining({ meta, arrays: other }, "a.ckpt")).toThrowError(
      expect.objectContaining({ code: "CHECKPOINT_DIGEST" }),
    );
  });

  it.each(["progress", "cursor", "kasmina"])("is refused without its %s", async (part) => {
    const { meta, arrays } = decodeCheckpoint(await stored(), "a");
    const { [part]: _, ...trainer } = meta["trainer"] as Record<string, unknown>;
    const bytes = encodeCheckpoint({ meta: { ...meta, trainer }, arrays });
    expect(() => decodeTraining(bytes, "a.ckpt")).toThrowError(
      expect.objectContaining({ code: "CHECKPOINT_DIGEST", details: expect.anything() }),
    );
  });

  it("of a version that did not know the schedule is still read", async () => {
    const { meta, arrays } = decodeCheckpoint(await stored(), "a");
    const { schedule, ...trainer } = meta["trainer"] as Record<string, unknown>;
    expect(schedule).toEqual({ lrPolicy: "constant", lrWarmupSteps: 0 });
    const bytes = encodeCheckpoint({ meta: { ...meta, trainer }, arrays });
    expect(decodeTraining(bytes, "a.ckpt").schedule).toBeUndefined();
  });
});

it("a run that ended in the middle of a seed's life says so again when asked again", async () => {
  const engine = await testEngine();
  // The target is met at once, but never counts before the seed is settled; the epochs run out.
  const options = { maxEpochs: 12, targetScore: 0.01 };
  const decide = germinateAt(0);
  const first = new Training(engine, { decide, options: { ...options, targetScore: 2 } });
  expect(await first.toEnd()).toBe("completed");
  expect(first.results[0]?.seeds).toMatchObject([{ settledAtStep: null }]);
  const { bytes } = first.stored.at(-1)!;
  const again = new Training(engine, { decide, options, checkpoint: bytes });
  expect(await again.toEnd()).toBe("completed");
});
