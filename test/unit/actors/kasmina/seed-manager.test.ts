import { describe, expect, it } from "vitest";
import { Growth, noise, testEngine } from "../../../fixtures/growth.ts";
import { rejection } from "../../runtime/support.ts";

const LIFE = [
  ["DORMANT", "GERMINATED", "G0_SANITY"],
  ["GERMINATED", "TRAINING", "G1_GRADIENT_HEALTH"],
  ["TRAINING", "BLENDING", "G2_STABILITY"],
  ["BLENDING", "SHADOWING", "G3_INTERFACE"],
  ["SHADOWING", "PROBATIONARY", "G4_SYSTEM_IMPACT"],
  ["PROBATIONARY", "FOSSILIZED", "G4_SYSTEM_IMPACT"],
];
const AFTERLIFE = [
  ["TRAINING", "CULLED", "G2_STABILITY"],
  ["CULLED", "EMBARGOED", null],
  ["EMBARGOED", "RESETTING", null],
  ["RESETTING", "DORMANT", "G5_RESET"],
];

const lifeOf = (growth: Growth) =>
  growth.moves.map(({ from, to, gate }) => [from, to, gate?.gate ?? null]);

/** Runs what may throw at once or later. */
const attempt = (act: () => unknown) => rejection(Promise.resolve().then(act));

async function hostState(growth: Growth): Promise<Record<string, number[]>> {
  const { arrays } = await growth.network.snapshot();
  const host = Object.entries(arrays).filter(([name]) => name.includes("/host/"));
  return Object.fromEntries(host.map(([name, values]) => [name, [...values]]));
}

describe("a seed that helps", () => {
  it("goes through every stage, each gate with its numbers", async () => {
    const growth = await Growth.begin();
    await growth.train(60);
    await growth.germinate();
    await growth.trainUntil("FOSSILIZED");
    expect(lifeOf(growth)).toEqual(LIFE);
    for (const move of growth.moves) {
      expect(move.gate?.passed).toBe(true);
      for (const value of Object.values(move.gate!.numbers)) expect(value).toBeTypeOf("number");
      expect(move).toMatchObject({ seedId: "seed-1", siteId: "hidden1", blueprintId: "BP009" });
    }
    const [g0, , g2, g3, g4] = growth.moves.map((move) => move.gate!.numbers);
    expect(g0!["function_delta"]).toBeLessThanOrEqual(1e-6);
    expect(g0!["parameters"]).toBe(growth.moves[0]!.parameters);
    expect(g2!["gain"]).toBeGreaterThanOrEqual(g2!["needed_gain"]!);
    expect(g2!["gain"]).toBeCloseTo(1 - g2!["shadow_loss"]! / g2!["host_loss"]!, 9);
    expect(g3!["alpha"]).toBe(1);
    expect(g4!["loss_without_seed"]).toBeGreaterThan(g4!["validation_loss"]!);
    expect(growth.manager.busy).toBe(false);
    const [state] = growth.manager.states(growth.step + 100);
    expect(state).toMatchObject({ stage: "FOSSILIZED", alpha: 1, settledAtStep: growth.step });
    expect(state!.gain).toBeCloseTo(growth.moves.at(-1)!.gate!.numbers["impact"]!, 12);
  });

  it("changes no output when it is grafted, and no host weight while it trains alone", async () => {
    const growth = await Growth.begin();
    const alone = await Growth.begin();
    await growth.train(60);
    await alone.train(60);
    const before = [...(await growth.network.predict(growth.validation.x, 128))];
    const [move] = await growth.germinate();
    expect(move!.gate!.numbers["function_delta"]).toBeLessThan(1e-6);
    expect([...(await growth.network.predict(growth.validation.x, 128))]).toEqual(before);
    await growth.trainUntil("TRAINING");
    await growth.train(20);
    await alone.train(growth.step - alone.step);
    expect(growth.stageOf()).toBe("TRAINING");
    expect(growth.losses).toEqual(alone.losses);
    expect(await hostState(growth)).toEqual(await hostState(alone));
  });

  it("is felt more with every step of the blend, from exactly 0 to exactly 1", async () => {
    const growth = await Growth.begin();
    await growth.train(60);
    await growth.germinate();
    await growth.trainUntil("BLENDING");
    const alphas = [growth.network.grafts[0]!.alpha];
    while (growth.stageOf() === "BLENDING") {
      await growth.train(1);
      alphas.push(growth.network.grafts[0]!.alpha);
    }
    expect(alphas).toHaveLength(11);
    expect([alphas[0], alphas.at(-1)]).toEqual([0, 1]);
    expect(alphas.toSorted((left, right) => left - right)).toEqual(alphas);
    expect(new Set(alphas).size).toBe(alphas.length);
  });
});

describe("a seed that does not help", () => {
  it("is culled by G2 with its numbers and leaves nothing behind", async () => {
    const growth = await Growth.begin({ data: noise });
    const alone = await Growth.begin({ data: noise });
    const tensors = growth.network.tensors();
    await growth.germinate();
    expect(growth.network.tensors()).toBeGreaterThan(tensors);
    await growth.trainUntil("DORMANT");
    expect(lifeOf(growth)).toEqual([...LIFE.slice(0, 2), ...AFTERLIFE]);
    const { gate, reason } = growth.moves[2]!;
    expect(gate).toMatchObject({ passed: false, reason });
    expect(gate!.numbers["gain"]).toBeLessThan(gate!.numbers["needed_gain"]!);
    expect(growth.moves.at(-1)!.gate!.numbers).toEqual({
      parameters_left: 0,
      optimizer_slots_left: 0,
    });
    expect(growth.network.grafts).toEqual([]);
    expect(growth.network.tensors()).toBe(tensors);
    await alone.train(growth.step);
    expect(await growth.digest()).toBe(await alone.digest());
    expect(growth.manager.states(growth.step)[0]).toMatchObject({
      stage: "DORMANT",
      reason,
      settledAtStep: growth.moves[2]!.step,
    });
  });

  it("is never culled where gates only report", async () => {
    const growth = await Growth.begin({ data: noise, settings: { enforceGates: false } });
    await growth.germinate();
    await growth.trainUntil("FOSSILIZED");
    expect(lifeOf(growth)).toEqual(LIFE);
    expect(growth.moves[2]!.gate).toMatchObject({ gate: "G2_STABILITY", passed: false });
  });
});

describe("a seed whose numbers break", () => {
  const broken = { loss: Number.POSITIVE_INFINITY, gradientNorm: Number.NaN };

  async function breakAt(step: number, enforceGates: boolean): Promise<Growth> {
    const growth = await Growth.begin({ settings: { enforceGates } });
    await growth.germinate();
    await growth.train(step);
    growth.step += 1;
    const shadows = [{ seedId: "seed-1", ...broken }];
    const evidence = { step: growth.step, trainingLoss: 0.7, shadows };
    growth.moves.push(...(await growth.manager.advance(evidence)));
    return growth;
  }

  it.each([
    [0, "G1_GRADIENT_HEALTH"],
    [5, "G2_STABILITY"],
    [30, "G2_STABILITY"],
  ])("is culled in the same step, %i steps after germination, by %s", async (step, gate) => {
    const growth = await breakAt(step, true);
    expect(growth.moves.at(-1)).toMatchObject({ to: "CULLED", gate: { gate, passed: false } });
    expect(growth.moves.at(-1)!.reason).toMatch(/not finite/);
  });

  it.each([true, false])("can be written to a checkpoint, gates enforced: %s", async (enforce) => {
    for (const step of [0, 5]) {
      const growth = await breakAt(step, enforce);
      const snapshot = growth.manager.snapshot();
      const through = JSON.parse(JSON.stringify(snapshot)) as typeof snapshot;
      expect(through).toEqual(snapshot);
      const again = Growth.resume(await testEngine(), {
        ...(await growth.save()),
        kasmina: through,
      });
      expect(again.manager.states(0)).toEqual(growth.manager.states(0));
    }
  });
});

describe("a command that cannot be carried out", () => {
  it("to germinate a live seed is refused and changes nothing", async () => {
    const growth = await Growth.begin();
    await growth.germinate();
    await growth.train(3);
    const before = [await growth.digest(), growth.manager.snapshot(), growth.network.tensors()];
    expect(await attempt(() => growth.germinate())).toMatchObject({
      code: "COMMAND_ILLEGAL_TRANSITION",
      details: { from: "TRAINING", to: "GERMINATED" },
    });
    expect([await growth.digest(), growth.manager.snapshot(), growth.network.tensors()]).toEqual(
      before,
    );
    await growth.train(1);
    expect(growth.stageOf()).toBe("TRAINING");
  });

  it("to germinate a seed that was culled and reset is refused with a code", async () => {
    const growth = await Growth.begin();
    await growth.germinate();
    await growth.manager.cull("seed-1", growth.step);
    await growth.trainUntil("DORMANT");
    expect(await attempt(() => growth.germinate())).toMatchObject({
      code: "COMMAND_ILLEGAL_TRANSITION",
      message: expect.stringContaining("new seed id"),
    });
    expect((await growth.germinate("seed-2"))[0]).toMatchObject({ to: "GERMINATED" });
  });

  it("to cull is obeyed once and is harmless afterwards", async () => {
    const growth = await Growth.begin();
    await growth.germinate();
    expect(await growth.manager.cull("seed-1", 1)).toMatchObject([
      { to: "CULLED", reason: "cull_command" },
    ]);
    expect(await growth.manager.cull("seed-1", 1)).toEqual([]);
    expect(await growth.manager.cull("never-seen", 1)).toEqual([]);
  });

  it("to graft what does not fit leaves the network as it was", async () => {
    const growth = await Growth.begin();
    const before = [await growth.digest(), growth.network.tensors()];
    const refused = await attempt(() =>
      growth.manager.germinate({
        seedId: "seed-1",
        commandId: "c",
        blueprintName: "wrong",
        artifact: {
          blueprintId: "BP009",
          blueprintName: "wrong",
          siteId: "hidden1",
          module: { layers: [{ kind: "dense", units: 3, activation: "linear" }] },
          checksum: "",
        },
        mode: "RESIDUAL",
        hostGradient: "through",
        step: 0,
      }),
    );
    expect(refused.code).toBe("GRAFT_SHAPE");
    expect([await growth.digest(), growth.network.tensors()]).toEqual(before);
    expect(growth.manager.states(0)).toEqual([]);
  });
});

describe("a growth that is continued from its snapshots", () => {
  it.each([
    ["helps", undefined, "FOSSILIZED"],
    ["does not help", noise, "DORMANT"],
  ])("is the same in every stage of a seed that %s", async (_name, data, last) => {
    const options = data === undefined ? {} : { data };
    const engine = await testEngine();
    const whole = await Growth.begin(options, engine);
    await whole.train(20);
    await whole.germinate();
    const saved = [{ at: "GERMINATED", ...(await whole.save()) }];
    while (whole.stageOf() !== last) {
      const before = whole.stageOf();
      await whole.train(1);
      const at = whole.stageOf()!;
      if (at !== before) saved.push({ at, ...(await whole.save()) });
    }
    await whole.train(5);
    expect(saved.length).toBeGreaterThan(5);
    for (const state of saved) {
      const json = JSON.parse(JSON.stringify(state.kasmina)) as typeof state.kasmina;
      const again = Growth.resume(engine, { ...state, kasmina: json }, options);
      await again.train(whole.step - state.step);
      expect(again.moves, state.at).toEqual(whole.moves.filter(({ step }) => step > state.step));
      expect(await again.digest(), state.at).toBe(await whole.digest());
      expect(again.manager.snapshot(), state.at).toEqual(whole.manager.snapshot());
      again.network.dispose();
    }
  });
});
