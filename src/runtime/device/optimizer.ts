/**
 * Updates parameters by gradients. All state is explicit and per owner, so growing a network adds
 * state and removing a seed removes it; every parameter counts its own steps, so that a new one
 * gets the bias correction of a beginner.
 */
import type { Engine, HostMemory, Tensor, Tf } from "./engine-types.ts";
import { createMoments, type Moments } from "./moments.ts";
import type { Parameter } from "./parameters.ts";
import { type OptimizerKind, UPDATE_RULES, type UpdateRule } from "./update-rules.ts";

export type { OptimizerKind } from "./update-rules.ts";

/** How parameters are updated. */
export interface OptimizerOptions {
  readonly kind: OptimizerKind;
  /** Decoupled weight decay of matrices and filters; biases and gains have none. */
  readonly weightDecay: number;
  /** Longest gradient (global norm) that is applied unscaled; null never clips. */
  readonly clipNorm: number | null;
}

interface Slot {
  readonly moments: Moments;
  steps: number;
}

/** Plain data. Arrays are keyed `name/moment`, steps by parameter name. */
export interface OwnerSnapshot {
  readonly steps: Readonly<Record<string, number>>;
  readonly arrays: Readonly<Record<string, Float32Array>>;
}

/** A gradient for each of some parameters; missing ones count as zero. */
export type Gradients = readonly (Tensor | undefined)[];

/** Euclidean norm over all gradients together, in double precision. */
export function globalNorm(hostMemory: HostMemory, gradients: Gradients): number {
  let sum = 0;
  for (const gradient of gradients) {
    if (gradient === undefined) continue;
    const values = hostMemory.view(gradient);
    for (let index = 0; index < values.length; index++) {
      const value = values[index] as number;
      sum += value * value;
    }
  }
  return Math.sqrt(sum);
}

/**
 * Square of that norm as a scalar on the device, in its precision. Stacked, because the sum of many
 * tensors in one operation needs more bindings than a WebGPU device must have.
 */
export function squaredNorm(tf: Tf, gradients: Gradients): Tensor {
  const sums: Tensor[] = [];
  for (const gradient of gradients) {
    if (gradient !== undefined) sums.push(tf.sum(tf.square(gradient)));
  }
  return sums.length === 0 ? tf.scalar(0) : tf.sum(tf.stack(sums));
}

/** The optimizer of one network. */
export class Optimizer {
  readonly #engine: Engine;
  readonly #options: OptimizerOptions;
  readonly #rule: UpdateRule;
  readonly #fused: boolean;
  readonly #owners = new Map<string, Map<string, Slot>>();

  /** `fused: false` forces the tensor form on engines that could do better. */
  constructor(engine: Engine, options: OptimizerOptions, how: { readonly fused: boolean }) {
    this.#engine = engine;
    this.#options = options;
    this.#rule = UPDATE_RULES[options.kind];
    this.#fused = how.fused;
  }

  /** The factor that brings a gradient of this norm down to the clip norm; 1 when it is shorter. */
  clipScale(norm: number): number {
    const { clipNorm } = this.#options;
    return clipNorm === null || norm <= clipNorm ? 1 : clipNorm / norm;
  }

  /**
   * One step for these parameters. `gradients` runs parallel to `parameters`; one without a
   * gradient stays as it is. The gradients stay the caller's.
   */
  update(
    parameters: readonly Parameter[],
    gradients: Gradients,
    learningRate: number,
    gradientScale = 1,
  ): void {
    parameters.forEach((parameter, index) => {
      const gradient = gradients[index];
      if (gradient === undefined) return;
      const slot = this.#slotOf(parameter);
      slot.steps += 1;
      const decay = parameter.shape.length > 1 ? this.#options.weightDecay : 0;
      const context = { learningRate, decay, gradientScale, step: slot.steps };
      slot.moments.apply(parameter, gradient, context);
    });
  }

  /** Forgets everything about an owner. */
  drop(owner: string): void {
    for (const { moments } of this.#owners.get(owner)?.values() ?? []) moments.dispose();
    this.#owners.delete(owner);
  }

  /** How many parameters of this owner the optimizer remembers something about. */
  slots(owner: string): number {
    return this.#owners.get(owner)?.size ?? 0;
  }

  /** Everything remembered about an owner now. */
  async snapshot(owner: string): Promise<OwnerSnapshot> {
    const slots = [...(this.#owners.get(owner) ?? [])];
    const steps = Object.fromEntries(slots.map(([name, slot]) => [name, slot.steps]));
    const reads = slots.map(async ([name, { moments }]) => {
      const values = await moments.read();
      return values.map((array, index) => [`${name}/${this.#rule.moments[index]}`, array] as const);
    });
    return { steps, arrays: Object.fromEntries((await Promise.all(reads)).flat()) };
  }

  /** Takes over the state of these parameters; one without steps has none. */
  restore(
    parameters: readonly Parameter[],
    steps: OwnerSnapshot["steps"],
    valuesOf: (parameter: Parameter, moment: string) => Float32Array,
  ): void {
    for (const parameter of parameters) {
      const taken = steps[parameter.name];
      if (taken === undefined) continue;
      const slot = this.#slotOf(parameter);
      slot.steps = taken;
      slot.moments.write(this.#rule.moments.map((moment) => valuesOf(parameter, moment)));
    }
  }

  dispose(): void {
    for (const owner of [...this.#owners.keys()]) this.drop(owner);
  }

  #slotOf(parameter: Parameter): Slot {
    const owned = this.#owners.get(parameter.owner) ?? new Map<string, Slot>();
    this.#owners.set(parameter.owner, owned);
    const known = owned.get(parameter.name);
    if (known !== undefined) return known;
    const moments = createMoments(this.#engine, this.#rule, parameter, this.#fused);
    const slot: Slot = { moments, steps: 0 };
    owned.set(parameter.name, slot);
    return slot;
  }
}
