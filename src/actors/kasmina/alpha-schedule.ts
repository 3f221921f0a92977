/**
 * The blend ramp: the reference's logistic schedule (20 steps, temperature 2), rescaled so that it
 * begins at exactly 0 and ends at exactly 1 (the plain curve runs from 0.0067 to 0.9933).
 */

export const ALPHA_STEPS = 20;
export const ALPHA_TEMPERATURE = 2;

function logistic(value: number): number {
  return 1 / (1 + Math.exp(-value));
}

/** Alpha after `step` of `totalSteps`; clamped to 0..1 outside the ramp. */
export function alphaAt(
  step: number,
  totalSteps: number = ALPHA_STEPS,
  temperature: number = ALPHA_TEMPERATURE,
): number {
  if (totalSteps <= 0 || step >= totalSteps) return 1;
  if (step <= 0) return 0;
  const spread = Math.max(temperature, 1e-6);
  const at = (position: number): number => logistic((position - totalSteps / 2) / spread);
  return (at(step) - at(0)) / (at(totalSteps) - at(0));
}
