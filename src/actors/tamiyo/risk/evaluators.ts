/**
 * The reasons not to grow now, in the order in which they are asked. Each looks only at the
 * packet; the first that answers decides, and its name is the decision's reason.
 */
import type { SystemStatePacket } from "../../../protocols/leyline/state.ts";
import type { PolicySettings } from "../settings.ts";

/** A reason to hold, or null when this evaluator sees no risk. */
export type RiskEvaluator = (packet: SystemStatePacket, settings: PolicySettings) => string | null;

const lossesOf = (packet: SystemStatePacket): number[] => [
  packet.trainingLoss,
  packet.validationLoss,
  ...packet.history.map((point) => point.trainingLoss),
];

/** Comparisons with NaN are false, so a broken run would pass every other gate unseen. */
export const notFinite: RiskEvaluator = (packet) =>
  lossesOf(packet).every(Number.isFinite) ? null : "loss_not_finite";

export const conservativeMode: RiskEvaluator = (_packet, settings) =>
  settings.conservative ? "conservative_mode" : null;

/** The reference's limit: validation loss up by more than 0.15 from one epoch to the next. */
export const lossSpike: RiskEvaluator = (packet, settings) => {
  const [before, after] = packet.history.slice(-2);
  if (before === undefined || after === undefined) return null;
  return after.validationLoss - before.validationLoss > settings.maxLossSpike ? "loss_spike" : null;
};

/** Growing does not cure memorising: training still improves while validation gets worse. */
export const generalisationGap: RiskEvaluator = (packet, settings) => {
  const { history } = packet;
  const half = Math.floor(history.length / 2);
  if (half < 4) return null;
  const best = (points: typeof history): number =>
    Math.min(...points.map((point) => point.validationLoss));
  const worse = best(history.slice(half)) > best(history.slice(0, half)) * settings.maxGap;
  const fits = (history.at(-1)?.trainingLoss ?? 0) < (history[half]?.trainingLoss ?? 0);
  return worse && fits ? "generalisation_gap" : null;
};

export const seedAlive: RiskEvaluator = (packet, settings) => {
  const alive = packet.seedStates.filter((seed) => seed.settledAtStep === null).length;
  return alive >= settings.maxLiveSeeds ? "seed_in_progress" : null;
};

export const parameterBudget: RiskEvaluator = (packet, settings) => {
  const limit = Math.max(settings.minParameterBudget, packet.hostParameters * settings.maxGrowth);
  return packet.totalParameters >= limit ? "parameter_budget" : null;
};

/** A seed that could not finish its life before the run ends would only cost time. */
export const timeLeft: RiskEvaluator = (packet, settings) =>
  packet.stepsLeft < settings.seedLifeSteps ? "too_late" : null;

export const alreadySolved: RiskEvaluator = (packet, settings) => {
  const last = packet.history.at(-1);
  return last !== undefined && last.trainingScore >= settings.solvedScore ? "solved" : null;
};

export const RISK_EVALUATORS: readonly RiskEvaluator[] = [
  notFinite,
  conservativeMode,
  seedAlive,
  timeLeft,
  parameterBudget,
  alreadySolved,
  lossSpike,
  generalisationGap,
];
