import { describe, expect, it } from "vitest";
import { decodeTraining } from "../../../../src/actors/tolaria/checkpoint.ts";
import { EsperError } from "../../../../src/protocols/errors.ts";
import { testEngine } from "../../../fixtures/growth.ts";
import { germinateAt, newDataset, Training } from "../../../fixtures/training.ts";
import { rejection } from "../../runtime/support.ts";

const everySixteen = (from: number, to: number): number[] =>
  Array.from({ length: (to - from) / 16 + 1 }, (_, index) => from + 16 * index);

const stageIn = (bytes: Uint8Array): string | undefined => {
  const [seed] = decodeTraining(bytes, "test").kasmina.seeds as { stage: string }[];
  return seed?.stage;
};

/** The result without the count of tensors, which other networks of the same engine change. */
function lasting(training: Training): unknown {
  const { tensorsAtStart: _, tensorsAtEnd: __, ...result } = training.results[0]!;
  return result;
}

describe("a decision", () => {
  it("is asked every 16 steps and takes effect exactly 8 steps later", async () => {
    const training = new Training(await testEngine(), { decide: germinateAt(32) });
    expect(await training.toEnd()).toBe("completed");
    expect(training.asked).toEqual(everySixteen(0, 208));
    expect(training.applied).toEqual([40]);
    const moves = training.rows.filter(({ kind }) => kind === "seed");
    expect(moves[0]).toMatchObject({ step: 40, to: "GERMINATED" });
    expect(moves.at(-1)).toMatchObject({ to: "FOSSILIZED" });
  });

  it("is never asked for where growth is off", async () => {
    const training = new Training(await testEngine(), { options: { growth: false } });
    await training.toEnd();
    expect(training.asked).toEqual([]);
    expect(training.results[0]?.seeds).toEqual([]);
  });

  it("that was missed is written down, and repeated without asking", async () => {
    const engine = await testEngine();
    const first = new Training(engine, {
      decide: (packet) => (packet.globalStep === 48 ? null : germinateAt(80)(packet)),
    });
    await first.toEnd();
    const misses = first.rows.filter(({ kind }) => kind === "decision_miss");
    expect(misses).toEqual([{ kind: "decision_miss", step: 48 }]);

    const replay = new Training(engine, {
      decide: (packet) => germinateAt(packet.globalStep === 48 ? 48 : 80)(packet),
      missedDecisions: [48],
    });
    await replay.toEnd();
    expect(replay.asked).toEqual(first.asked.filter((step) => step !== 48));
    expect(replay.rowsAfter(-1)).toEqual(first.rowsAfter(-1));
    expect(replay.results[0]?.digest).toBe(first.results[0]?.digest);
    expect(replay.applied).toEqual([88]);
  });

  it("that is refused leaves training as if there had been none", async () => {
    const engine = await testEngine();
    const held = new Training(engine);
    await held.toEnd();
    const refused = new Training(engine, { decide: germinateAt(32) });
    refused.growth.germinate = async () => {
      throw new EsperError("COMMAND_STALE", "too old");
    };
    await refused.toEnd();
    expect(refused.rejected).toEqual([40]);
    expect(refused.rowsAfter(-1)).toEqual(held.rowsAfter(-1));
    expect(refused.results[0]?.digest).toBe(held.results[0]?.digest);
  });

  it("whose answer was lost still has its seed advanced", async () => {
    const training = new Training(await testEngine(), {
      decide: germinateAt(32),
      afterApply: () => {
        throw new EsperError("DEADLINE_EXCEEDED", "too late");
      },
    });
    await training.toEnd();
    expect(training.rejected).toEqual([40]);
    expect(training.results[0]?.seeds).toMatchObject([{ stage: "FOSSILIZED" }]);
  });

  it("that fails for a reason of no known kind ends the step, not silently", async () => {
    const training = new Training(await testEngine(), {
      decide: () => {
        throw new TypeError("a bug");
      },
    });
    expect(await rejection(training.steps(9))).toBeInstanceOf(TypeError);
  });
});

describe("a run that is continued from a checkpoint", () => {
  it("equals the undisturbed run in every stage of a seed's life", async () => {
    const engine = await testEngine();
    const decide = germinateAt(32);
    const whole = new Training(engine, { decide });
    await whole.toEnd();
    const stages = new Set<string | undefined>();
    for (const { step, bytes, final } of whole.stored) {
      const stage = stageIn(bytes);
      if (final || stages.has(stage)) continue;
      stages.add(stage);
      const again = new Training(engine, { decide, checkpoint: bytes });
      expect(again.trainer.currentStep).toBe(step);
      expect(await again.toEnd()).toBe("completed");
      expect(again.rowsAfter(step), stage).toEqual(whole.rowsAfter(step));
      expect(lasting(again), stage).toEqual(lasting(whole));
      again.growth.network.dispose();
    }
    expect([...stages]).toEqual(
      expect.arrayContaining([
        undefined,
        "TRAINING",
        "BLENDING",
        "SHADOWING",
        "PROBATIONARY",
        "FOSSILIZED",
      ]),
    );
  });

  it("of its end says its result again and trains no further", async () => {
    const engine = await testEngine();
    const whole = new Training(engine, { options: { maxEpochs: 7 } });
    expect(await whole.toEnd()).toBe("completed");
    const last = whole.stored.at(-1)!;
    expect(last).toMatchObject({ final: true, step: 35 });
    const again = new Training(engine, { options: { maxEpochs: 7 }, checkpoint: last.bytes });
    expect(await again.toEnd()).toBe("completed");
    expect(again.rows).toEqual([]);
    const { digest, step, epoch, last: point } = whole.results[0]!;
    expect(again.results).toMatchObject([{ digest, step, epoch, last: point }]);
  });
});

describe("a halt", () => {
  it("stops at the next decision point, after a checkpoint that continues the run", async () => {
    const engine = await testEngine();
    const decide = germinateAt(32);
    const whole = new Training(engine, { decide });
    await whole.toEnd();

    const halted = new Training(engine, { decide });
    await halted.steps(50);
    halted.trainer.requestStop();
    expect(await halted.toEnd()).toBe("stopped");
    expect(halted.trainer.currentStep).toBe(64);
    expect(halted.results).toMatchObject([{ outcome: "stopped", step: 64 }]);
    const last = halted.stored.at(-1)!;
    expect(last).toMatchObject({ step: 64, final: true });

    const resumed = new Training(engine, { decide, checkpoint: last.bytes });
    expect(await resumed.toEnd()).toBe("completed");
    expect(resumed.rowsAfter(64)).toEqual(whole.rowsAfter(64));
    expect(resumed.results[0]?.digest).toBe(whole.results[0]?.digest);
  });

  it("before the first step leaves a checkpoint of step 0", async () => {
    const training = new Training(await testEngine());
    training.trainer.requestStop();
    expect(await training.toEnd()).toBe("stopped");
    expect(training.stored).toMatchObject([{ step: 0, final: true }]);
  });
});

describe("a target score", () => {
  it("that is met between two seeds ends the run, but never in the middle of one", async () => {
    const engine = await testEngine();
    const options = { targetScore: 0.01 };
    const early = new Training(engine, { options });
    expect(await early.toEnd()).toBe("target-reached");
    expect(early.results[0]).toMatchObject({ outcome: "target-reached", epoch: 1 });

    const grown = new Training(engine, { decide: germinateAt(0) });
    await grown.toEnd();
    const score = Math.max(
      ...grown.rows
        .filter((row) => row.kind === "epoch" && row.step > 10 && row.step < 100)
        .map((row) => row["validation_score"] as number),
    );
    const waited = new Training(engine, {
      decide: germinateAt(0),
      options: { targetScore: score - 1e-6 },
    });
    await waited.toEnd();
    const settled = waited.results[0]!.seeds.map(({ settledAtStep }) => settledAtStep);
    expect(settled).not.toContain(null);
    expect(settled.length).toBeLessThanOrEqual(1);
  });
});

describe("numbers that break", () => {
  it("in training are a coded failure that names the step", async () => {
    const training = new Training(await testEngine(), { options: { learningRate: 1e38 } });
    const error = (await rejection(training.toEnd())) as EsperError;
    expect(error).toMatchObject({
      code: "LOSS_NOT_FINITE",
      message: expect.stringMatching(/^the loss at step \d+ is .*--learning-rate$/),
    });
    expect(error.details["step"]).toBe(training.trainer.currentStep + 1);
    expect(training.results).toEqual([]);
  });

  it("in validation are a coded failure that names the epoch", async () => {
    const dataset = newDataset();
    dataset.validation.x[5] = Number.NaN;
    const training = new Training(await testEngine(), { dataset });
    expect(await rejection(training.toEnd())).toMatchObject({
      code: "LOSS_NOT_FINITE",
      details: { epoch: 1 },
    });
  });
});
