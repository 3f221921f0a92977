/**
 * The growth policy: hold while there is a risk or while training still pays; otherwise germinate
 * the best candidate. A pure function of the packet, so that it can be repeated and explained.
 */
import type { BlueprintListing } from "../../protocols/actors/growth.ts";
import type { SeedState, SystemStatePacket } from "../../protocols/leyline/state.ts";
import { createRandom, type Random } from "../../runtime/random.ts";
import { assessPlateau } from "./plateau.ts";
import { RISK_EVALUATORS } from "./risk/evaluators.ts";
import { type Candidate, rankCandidates } from "./selection.ts";
import type { PolicySettings } from "./settings.ts";

export type PolicyDecision =
  | { readonly action: "hold"; readonly reason: string; readonly lossDrop: number | null }
  | {
      readonly action: "germinate";
      readonly reason: string;
      readonly lossDrop: number | null;
      readonly candidate: Candidate;
    };

/** Chance per decision that the random-timing arm germinates. */
const RANDOM_GERMINATION_CHANCE = 0.05;
const MAX_PATIENCE_DOUBLINGS = 4;

function culledInARow(seeds: readonly SeedState[]): number {
  const settled = seeds
    .filter((seed) => seed.settledAtStep !== null)
    .sort((left, right) => (right.settledAtStep ?? 0) - (left.settledAtStep ?? 0));
  const helped = settled.findIndex((seed) => seed.stage === "FOSSILIZED");
  return helped === -1 ? settled.length : helped;
}

/** After each seed that did not help, the next one waits twice as long. */
function patienceSteps(packet: SystemStatePacket, settings: PolicySettings): number {
  const doublings = Math.min(MAX_PATIENCE_DOUBLINGS, culledInARow(packet.seedStates));
  return settings.windowSteps * (doublings === 0 ? 0 : 2 ** (doublings - 1));
}

function lastSettledStep(seeds: readonly SeedState[]): number {
  return Math.max(0, ...seeds.map((seed) => seed.settledAtStep ?? 0));
}

function timing(
  packet: SystemStatePacket,
  settings: PolicySettings,
  random: Random,
): { readonly grow: boolean; readonly reason: string; readonly drop: number | null } {
  if (settings.arm === "random-timing") {
    const grow = random.next() < RANDOM_GERMINATION_CHANCE;
    return { grow, reason: grow ? "random_timing" : "random_hold", drop: null };
  }
  const settled = lastSettledStep(packet.seedStates);
  if (packet.globalStep < settled + patienceSteps(packet, settings)) {
    return { grow: false, reason: "cooling_down", drop: null };
  }
  const verdict = assessPlateau(packet.history, {
    windowSteps: settings.windowSteps,
    minDrop: settings.minDrop,
    sinceStep: settled,
  });
  if (!verdict.ready) return { grow: false, reason: "observing", drop: null };
  const reason = verdict.plateau ? "plateau" : "still_improving";
  return { grow: verdict.plateau, reason, drop: verdict.drop };
}

/** What to do about this packet, and why. */
export function decide(
  packet: SystemStatePacket,
  catalogue: readonly BlueprintListing[],
  settings: PolicySettings,
): PolicyDecision {
  for (const evaluate of RISK_EVALUATORS) {
    const reason = evaluate(packet, settings);
    if (reason !== null) return { action: "hold", reason, lossDrop: null };
  }
  const random = createRandom(packet.seed, `policy:${packet.globalStep}`);
  const when = timing(packet, settings, random);
  if (!when.grow) return { action: "hold", reason: when.reason, lossDrop: when.drop };
  const ranked = rankCandidates(packet, catalogue);
  const pick = settings.arm === "random-blueprint" ? random.integer(ranked.length) : 0;
  const candidate = ranked[pick];
  if (candidate === undefined) {
    return { action: "hold", reason: "no_candidate", lossDrop: when.drop };
  }
  return { action: "germinate", reason: when.reason, lossDrop: when.drop, candidate };
}
