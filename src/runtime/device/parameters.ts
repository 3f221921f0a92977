/**
 * The trainable numbers of a network, by owner: the host, or one seed. Owners are removed whole.
 * Values go in and out as copies; no caller ever holds the memory of a live parameter.
 */
import { invariant } from "../../protocols/errors.ts";
import { type Engine, readValues, type Shape, sizeOf, type Variable } from "./engine-types.ts";

/** The host network's own owner name; no seed may have it. */
export const HOST_OWNER = "host";

/** One trainable tensor. */
export interface Parameter {
  readonly owner: string;
  /** Unique within the owner, e.g. `0.dense/kernel`. */
  readonly name: string;
  readonly shape: Shape;
  readonly size: number;
  readonly variable: Variable;
}

/** The library keeps variables in one table per thread, by name: names must never repeat. */
let variablesMade = 0;

/** All parameters of one network. */
export class ParameterStore {
  readonly #engine: Engine;
  readonly #owners = new Map<string, Map<string, Parameter>>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** A new parameter with these start values. */
  create(owner: string, name: string, shape: Shape, values: Float32Array): Parameter {
    const owned = this.#owners.get(owner) ?? new Map<string, Parameter>();
    invariant(!owned.has(name), `parameter ${owner}:${name} is created once`);
    invariant(values.length === sizeOf(shape), `${owner}:${name} gets values for its shape`);
    const { tf } = this.#engine;
    variablesMade += 1;
    const initial = tf.tensor(values.slice(), [...shape]);
    const variable = tf.variable(initial, true, `esper-${variablesMade}:${owner}:${name}`);
    initial.dispose();
    const parameter = { owner, name, shape, size: values.length, variable };
    owned.set(name, parameter);
    this.#owners.set(owner, owned);
    return parameter;
  }

  owners(): readonly string[] {
    return [...this.#owners.keys()];
  }

  /** The owner's parameters in the order of their creation. */
  owned(owner: string): readonly Parameter[] {
    return [...(this.#owners.get(owner)?.values() ?? [])];
  }

  /** A copy of the values as they are now. */
  read(parameter: Parameter): Promise<Float32Array> {
    return readValues(this.#engine, parameter.variable);
  }

  /** Overwrites all values. */
  write(parameter: Parameter, values: Float32Array): void {
    invariant(values.length === parameter.size, `${parameter.name} is written whole`);
    const { tf } = this.#engine;
    const next = tf.tensor(values.slice(), [...parameter.shape]);
    parameter.variable.assign(next);
    next.dispose();
  }

  /** Frees everything the owner has. An unknown owner has nothing. */
  remove(owner: string): void {
    for (const { variable } of this.owned(owner)) variable.dispose();
    this.#owners.delete(owner);
  }

  /** How many numbers the owner trains. */
  count(owner: string): number {
    return this.owned(owner).reduce((sum, { size }) => sum + size, 0);
  }

  /** How many numbers all owners train. */
  total(): number {
    return this.owners().reduce((sum, owner) => sum + this.count(owner), 0);
  }

  dispose(): void {
    for (const owner of this.owners()) this.remove(owner);
  }
}
