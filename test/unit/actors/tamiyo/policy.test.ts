import { describe, expect, it } from "vitest";
import { assessPlateau } from "../../../../src/actors/tamiyo/plateau.ts";
import { decide } from "../../../../src/actors/tamiyo/policy.ts";
import { rankCandidates } from "../../../../src/actors/tamiyo/selection.ts";
import { policySettingsSchema } from "../../../../src/actors/tamiyo/settings.ts";
import { CATALOGUE } from "../../../../src/actors/urza/catalogue.ts";
import type {
  EpochPoint,
  SeedState,
  SystemStatePacket,
} from "../../../../src/protocols/leyline/state.ts";

const settings = policySettingsSchema.parse({});

function epochs(losses: readonly number[], stepsPerEpoch = 8): EpochPoint[] {
  return losses.map((loss, index) => ({
    epoch: index + 1,
    step: (index + 1) * stepsPerEpoch,
    trainingLoss: loss,
    validationLoss: loss,
    trainingScore: 0.6,
    validationScore: 0.6,
  }));
}

const flat = epochs(Array.from({ length: 60 }, () => 0.66));
const falling = epochs(Array.from({ length: 60 }, (_, index) => 0.98 ** index));

function packet(changes: Partial<SystemStatePacket> = {}): SystemStatePacket {
  const history = changes.history ?? flat;
  return {
    version: 1,
    packetId: "run-step-480",
    trainingRunId: "run",
    incarnation: 1,
    currentEpoch: 60,
    globalStep: history.at(-1)?.step ?? 0,
    trainingLoss: 0.66,
    validationLoss: 0.66,
    validationAccuracy: 0.6,
    trainingMetrics: {},
    seedStates: [],
    hostSites: [{ siteId: "hidden1", kind: "vector", shape: [8], depth: 0 }],
    hostParameters: 50,
    totalParameters: 50,
    stepsLeft: 5_000,
    history,
    seed: 7,
    ...changes,
  };
}

function seed(changes: Partial<SeedState>): SeedState {
  return {
    seedId: "seed-1",
    siteId: "hidden1",
    blueprintId: "BP009",
    stage: "TRAINING",
    alpha: 0,
    parameters: 400,
    ageSteps: 10,
    germinatedAtStep: 0,
    settledAtStep: null,
    gradientNorm: 1,
    gain: null,
    reason: "",
    ...changes,
  };
}

const reasonOf = (changes: Partial<SystemStatePacket>, arm = settings): string =>
  decide(packet(changes), CATALOGUE, arm).reason;

describe("plateau", () => {
  const options = { windowSteps: 192, minDrop: 0.05, sinceStep: 0 };

  it("is not judged before two windows have passed", () => {
    expect(assessPlateau(flat.slice(0, 40), options).ready).toBe(false);
  });

  it("is seen in a flat loss and not in a falling one", () => {
    expect(assessPlateau(flat, options)).toMatchObject({ ready: true, plateau: true });
    expect(assessPlateau(falling, options)).toMatchObject({ ready: true, plateau: false });
  });

  it("forgets what lies before the last change of the network", () => {
    expect(assessPlateau(flat, { ...options, sinceStep: 300 }).ready).toBe(false);
  });
});

describe("the growth policy", () => {
  it("germinates on a plateau and holds while training pays", () => {
    expect(decide(packet(), CATALOGUE, settings)).toMatchObject({
      action: "germinate",
      reason: "plateau",
    });
    expect(reasonOf({ history: falling })).toBe("still_improving");
  });

  it.each([
    ["loss_not_finite", { trainingLoss: Number.NaN }],
    ["seed_in_progress", { seedStates: [seed({})] }],
    ["too_late", { stepsLeft: 100 }],
    ["parameter_budget", { totalParameters: 20_001 }],
  ] as const)("holds with reason %s", (reason, changes) => {
    expect(reasonOf(changes)).toBe(reason);
  });

  it("holds after a loss spike, when memorising, when solved and when told to", () => {
    const spike = [...flat.slice(0, -1), { ...flat.at(-1)!, validationLoss: 0.9 }];
    expect(reasonOf({ history: spike })).toBe("loss_spike");
    const memorising = falling.map((point, index) => ({
      ...point,
      validationLoss: index < 30 ? 0.5 : 0.7,
    }));
    expect(reasonOf({ history: memorising })).toBe("generalisation_gap");
    const solved = flat.map((point) => ({ ...point, trainingScore: 1 }));
    expect(reasonOf({ history: solved })).toBe("solved");
    expect(reasonOf({}, { ...settings, conservative: true })).toBe("conservative_mode");
  });

  it("waits longer after every seed that did not help", () => {
    const culled = (count: number) =>
      Array.from({ length: count }, (_, index) =>
        seed({ seedId: `seed-${index}`, stage: "DORMANT", settledAtStep: 40 + index, gain: -0.1 }),
      );
    const history = epochs(Array.from({ length: 80 }, () => 0.66));
    expect(reasonOf({ history, seedStates: culled(1) })).toBe("plateau");
    expect(reasonOf({ history, seedStates: culled(4) })).toBe("cooling_down");
  });

  it("is a pure function of the packet", () => {
    const random = { ...settings, arm: "random-timing" as const };
    for (const arm of [settings, random]) {
      expect(decide(packet(), CATALOGUE, arm)).toEqual(decide(packet(), CATALOGUE, arm));
    }
  });

  it("chooses blueprints at random only in the arm of that name", () => {
    const arm = { ...settings, arm: "random-blueprint" as const };
    const picks = new Set(
      Array.from({ length: 40 }, (_, index) => {
        const decision = decide(packet({ seed: index }), CATALOGUE, arm);
        return decision.action === "germinate" ? decision.candidate.blueprintId : "";
      }),
    );
    expect(picks.size).toBeGreaterThan(2);
    const policyPicks = new Set(
      Array.from({ length: 10 }, (_, index) => {
        const decision = decide(packet({ seed: index }), CATALOGUE, settings);
        return decision.action === "germinate" ? decision.candidate.blueprintId : "";
      }),
    );
    expect(policyPicks.size).toBe(1);
  });
});

describe("selection", () => {
  it("offers only blueprints that fit the site", () => {
    const map = packet({ hostSites: [{ siteId: "c", kind: "map", shape: [4, 4, 8], depth: 0 }] });
    const ids = rankCandidates(map, CATALOGUE).map((candidate) => candidate.blueprintId);
    expect(ids).toContain("BP015");
    expect(ids).not.toContain("BP021");
  });

  it("prefers what helped in this run and drops what did not", () => {
    const helped = seed({ blueprintId: "BP028", stage: "FOSSILIZED", settledAtStep: 1, gain: 0.6 });
    expect(rankCandidates(packet({ seedStates: [helped] }), CATALOGUE)[0]?.blueprintId).toBe(
      "BP028",
    );
    const first = rankCandidates(packet(), CATALOGUE)[0]!.blueprintId;
    const failed = seed({ blueprintId: first, stage: "DORMANT", settledAtStep: 1, gain: -0.4 });
    expect(rankCandidates(packet({ seedStates: [failed] }), CATALOGUE)[0]?.blueprintId).not.toBe(
      first,
    );
  });
});
