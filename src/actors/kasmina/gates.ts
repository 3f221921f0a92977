/**
 * Gates G0 to G5. Each is a pure judgement over measured numbers and returns those numbers with
 * its verdict, so that a person can check why a seed went on or was culled.
 */
import type { GateResult } from "../../protocols/actors/growth.ts";
import type { SeedGateName } from "../../protocols/leyline/enums.ts";
import type { GrowthSettings } from "./settings.ts";

type Numbers = Readonly<Record<string, number>>;
type Check = readonly [holds: boolean, reason: string];

/** The first check that does not hold is the reason; NaN never holds. */
function judge(gate: SeedGateName, numbers: Numbers, checks: readonly Check[]): GateResult {
  const failed = checks.find(([holds]) => !holds);
  return {
    gate,
    passed: failed === undefined,
    reason: failed?.[1] ?? "passed",
    numbers,
  };
}

/** G0: the module is real, and grafting it at alpha 0 left the host's function alone. */
export function gateSanity(
  measured: { readonly parameters: number; readonly functionDelta: number },
  settings: GrowthSettings,
): GateResult {
  const numbers = {
    parameters: measured.parameters,
    function_delta: measured.functionDelta,
    allowed_delta: settings.maxFunctionDelta,
  };
  return judge("G0_SANITY", numbers, [
    [measured.parameters > 0, "the module has nothing to train"],
    [measured.functionDelta <= settings.maxFunctionDelta, "the graft changed the host's function"],
  ]);
}

/** G1: the first isolated step gave the seed a usable gradient. */
export function gateGradientHealth(
  measured: { readonly gradientNorm: number; readonly shadowLoss: number },
  settings: GrowthSettings,
): GateResult {
  const { gradientNorm, shadowLoss } = measured;
  const numbers = { gradient_norm: gradientNorm, shadow_loss: shadowLoss };
  return judge("G1_GRADIENT_HEALTH", numbers, [
    [Number.isFinite(shadowLoss), "the shadow loss is not finite"],
    [gradientNorm >= settings.minGradientNorm, "the gradient vanished"],
    [gradientNorm <= settings.maxGradientNorm, "the gradient exploded"],
  ]);
}

export interface ShadowEvidence {
  readonly hostLoss: number;
  readonly shadowLoss: number;
  /** (host - shadow) / host over the judged steps. */
  readonly gain: number;
  /** Mean paired difference in units of its standard error. */
  readonly z: number;
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Paired comparison of the same batches with and without the seed. */
export function shadowEvidence(
  hostLosses: readonly number[],
  shadowLosses: readonly number[],
): ShadowEvidence {
  const differences = hostLosses.map((loss, index) => loss - (shadowLosses[index] ?? Number.NaN));
  const hostLoss = mean(hostLosses);
  const difference = mean(differences);
  const variance =
    differences.reduce((sum, value) => sum + (value - difference) ** 2, 0) /
    Math.max(1, differences.length - 1);
  const error = Math.sqrt(variance / differences.length);
  return {
    hostLoss,
    shadowLoss: mean(shadowLosses),
    gain: hostLoss > 0 ? difference / hostLoss : 0,
    z: error > 0 ? difference / error : Math.sign(difference) * Number.MAX_SAFE_INTEGER,
  };
}

/** G2: trained in isolation, the seed lowers the loss by a share that is not chance. */
export function gateStability(evidence: ShadowEvidence, settings: GrowthSettings): GateResult {
  const numbers = {
    host_loss: evidence.hostLoss,
    shadow_loss: evidence.shadowLoss,
    gain: evidence.gain,
    needed_gain: settings.minShadowGain,
    z: Math.min(evidence.z, 999),
    needed_z: settings.minShadowZ,
  };
  return judge("G2_STABILITY", numbers, [
    [Number.isFinite(evidence.shadowLoss), "the shadow loss is not finite"],
    [evidence.gain >= settings.minShadowGain, "the seed does not lower the loss enough"],
    [evidence.z >= settings.minShadowZ, "the improvement could be chance"],
  ]);
}

/** G3: fully blended, the network still fits together and gives finite numbers. */
export function gateInterface(measured: {
  readonly alpha: number;
  readonly validationLoss: number;
  readonly sitePresent: boolean;
}): GateResult {
  const numbers = { alpha: measured.alpha, validation_loss: measured.validationLoss };
  return judge("G3_INTERFACE", numbers, [
    [measured.sitePresent, "mesh_incomplete"],
    [measured.alpha === 1, "the blend is not complete"],
    [Number.isFinite(measured.validationLoss), "the blended network gives no finite loss"],
  ]);
}

/** G4: the whole network is better than before germination, and not without the seed. */
export function gateSystemImpact(
  measured: {
    readonly baselineLoss: number;
    readonly loss: number;
    readonly lossWithout: number;
  },
  settings: GrowthSettings,
): GateResult {
  const impact = (measured.baselineLoss - measured.loss) / Math.max(measured.baselineLoss, 1e-12);
  const numbers = {
    baseline_loss: measured.baselineLoss,
    validation_loss: measured.loss,
    loss_without_seed: measured.lossWithout,
    impact,
    needed_impact: settings.minImpact,
  };
  return judge("G4_SYSTEM_IMPACT", numbers, [
    [Number.isFinite(measured.loss), "the validation loss is not finite"],
    [impact >= settings.minImpact, "the network is not better than before the seed"],
    [measured.lossWithout >= measured.loss, "the network is better without the seed"],
  ]);
}

/** G5: nothing of the seed is left on the device. */
export function gateReset(measured: {
  readonly parametersLeft: number;
  readonly optimizerSlotsLeft: number;
}): GateResult {
  const numbers = {
    parameters_left: measured.parametersLeft,
    optimizer_slots_left: measured.optimizerSlotsLeft,
  };
  return judge("G5_RESET", numbers, [
    [measured.parametersLeft === 0, "parameters of the seed are still there"],
    [measured.optimizerSlotsLeft === 0, "optimizer state of the seed is still there"],
  ]);
}
