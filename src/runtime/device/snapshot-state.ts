/** Moves weights and optimizer state between a network and the arrays of a snapshot. */
import { arrayKey, type NetworkSnapshot, requireArray } from "./snapshot.ts";
import type { TrainingSubject } from "./training-step.ts";

interface NetworkState {
  readonly arrays: Record<string, Float32Array>;
  readonly steps: NetworkSnapshot["structure"]["steps"];
}

/** Copies of all weights and of everything the optimizer remembers. */
export function captureState({ store, optimizer }: TrainingSubject): NetworkState {
  const state: NetworkState = { arrays: {}, steps: {} };
  for (const owner of store.owners()) {
    for (const parameter of store.owned(owner)) {
      state.arrays[arrayKey("weights", owner, parameter.name)] = store.read(parameter);
    }
    const remembered = optimizer.snapshot(owner);
    state.steps[owner] = { ...remembered.steps };
    for (const [name, values] of Object.entries(remembered.arrays)) {
      state.arrays[arrayKey("optimizer", owner, name)] = values;
    }
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
