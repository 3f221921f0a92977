/** Moves weights and optimizer state between a network and the arrays of a snapshot. */
import { arrayKey, type NetworkSnapshot, requireArray } from "./snapshot.ts";
import type { TrainingSubject } from "./training-step.ts";

interface NetworkState {
  readonly arrays: Record<string, Float32Array>;
  readonly steps: NetworkSnapshot["structure"]["steps"];
}

async function captureOwner({ store, optimizer }: TrainingSubject, owner: string) {
  const parameters = store.owned(owner);
  // All reads are asked for before the first is awaited: they show one and the same moment.
  const [weights, remembered] = await Promise.all([
    Promise.all(parameters.map((parameter) => store.read(parameter))),
    optimizer.snapshot(owner),
  ]);
  const arrays: Record<string, Float32Array> = {};
  parameters.forEach(({ name }, index) => {
    arrays[arrayKey("weights", owner, name)] = weights[index] ?? new Float32Array(0);
  });
  for (const [name, values] of Object.entries(remembered.arrays)) {
    arrays[arrayKey("optimizer", owner, name)] = values;
  }
  return { owner, arrays, steps: remembered.steps };
}

/** Copies of all weights and of everything the optimizer remembers now. */
export async function captureState(subject: TrainingSubject): Promise<NetworkState> {
  const owners = subject.store.owners().map((owner) => captureOwner(subject, owner));
  const state: NetworkState = { arrays: {}, steps: {} };
  for (const { owner, arrays, steps } of await Promise.all(owners)) {
    Object.assign(state.arrays, arrays);
    state.steps[owner] = { ...steps };
  }
  return state;
}

/** The inverse of `captureState`. @throws {CHECKPOINT_DIGEST} when an array is missing. */
export function loadState(
  { store, optimizer }: TrainingSubject,
  arrays: NetworkSnapshot["arrays"],
  steps: NetworkState["steps"],
): void {
  for (const owner of store.owners()) {
    const parameters = store.owned(owner);
    for (const parameter of parameters) {
      const key = arrayKey("weights", owner, parameter.name);
      store.write(parameter, requireArray(arrays, key, parameter.size));
    }
    optimizer.restore(parameters, steps[owner] ?? {}, (parameter, moment) => {
      const key = arrayKey("optimizer", owner, `${parameter.name}/${moment}`);
      return requireArray(arrays, key, parameter.size);
    });
  }
}
