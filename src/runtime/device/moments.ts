/** An optimizer's memory of one parameter, in the form that suits the engine. */
import { invariant } from "../../protocols/errors.ts";
import { type Engine, type HostMemory, readValues, type Tensor } from "./engine-types.ts";
import type { Parameter } from "./parameters.ts";
import type { UpdateContext, UpdateRule } from "./update-rules.ts";

/** One parameter's optimizer memory, whatever form it has. */
export interface Moments {
  /** Updates the parameter and this memory by one gradient. */
  apply(parameter: Parameter, gradient: Tensor, context: UpdateContext): void;
  /** Copies of what is remembered now, in the order of the rule's moment names. */
  read(): Promise<readonly Float32Array[]>;
  write(values: readonly Float32Array[]): void;
  dispose(): void;
}

/** Moments as plain arrays; the update is one pass over the engine's own memory. */
class FusedMoments implements Moments {
  readonly #memory: HostMemory;
  readonly #rule: UpdateRule;
  readonly #moments: readonly Float32Array[];

  constructor(memory: HostMemory, rule: UpdateRule, size: number) {
    this.#memory = memory;
    this.#rule = rule;
    this.#moments = rule.moments.map(() => new Float32Array(size));
  }

  apply({ variable }: Parameter, gradient: Tensor, context: UpdateContext): void {
    const memory = this.#memory;
    // First, because it may allocate and would make the views stale.
    memory.own(variable);
    this.#rule.fused(memory.view(variable), memory.view(gradient), this.#moments, context);
    memory.written(variable);
  }

  async read(): Promise<readonly Float32Array[]> {
    return this.#moments.map((moment) => moment.slice());
  }

  write(values: readonly Float32Array[]): void {
    this.#moments.forEach((moment, index) => {
      const given = values[index];
      invariant(given?.length === moment.length, "moments are restored whole");
      moment.set(given);
    });
  }

  dispose(): void {}
}

/** Moments as tensors, for engines whose memory is not ours. */
class TensorMoments implements Moments {
  readonly #engine: Engine;
  readonly #rule: UpdateRule;
  #moments: readonly Tensor[];

  constructor(engine: Engine, rule: UpdateRule, shape: readonly number[]) {
    const { tf } = engine;
    this.#engine = engine;
    this.#rule = rule;
    this.#moments = rule.moments.map(() => tf.keep(tf.zeros([...shape])));
  }

  apply({ variable }: Parameter, gradient: Tensor, context: UpdateContext): void {
    const { tf } = this.#engine;
    tf.tidy(() => {
      const next = this.#rule.tensors(tf, variable, gradient, this.#moments, context);
      variable.assign(next.value);
      this.#replace(next.moments.map((moment) => tf.keep(moment)));
    });
  }

  read(): Promise<readonly Float32Array[]> {
    return Promise.all(this.#moments.map((moment) => readValues(this.#engine, moment)));
  }

  write(values: readonly Float32Array[]): void {
    const { tf } = this.#engine;
    this.#replace(
      this.#moments.map((moment, index) => {
        const given = values[index];
        invariant(given?.length === moment.size, "moments are restored whole");
        return tf.keep(tf.tensor(given.slice(), moment.shape));
      }),
    );
  }

  dispose(): void {
    this.#replace([]);
  }

  /** Frees the moments held so far. */
  #replace(next: readonly Tensor[]): void {
    for (const moment of this.#moments) moment.dispose();
    this.#moments = next;
  }
}

/** Fused where the engine's memory is ours, unless `fused` says otherwise. */
export function createMoments(
  engine: Engine,
  rule: UpdateRule,
  parameter: Parameter,
  fused: boolean,
): Moments {
  const { hostMemory } = engine;
  if (fused && hostMemory !== null) return new FusedMoments(hostMemory, rule, parameter.size);
  return new TensorMoments(engine, rule, parameter.shape);
}
