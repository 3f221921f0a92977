/**
 * Which definition of a module is which, in every thread the same: the place in the order in which
 * the module's code makes them. So a worker thread that loads the module finds what the main
 * thread means, exported or not, and no module is loaded a second time to find out.
 */
import type { AnyActorDefinition } from "./actor.ts";

/** A module that makes more makes them while it runs, and a worker would not have them. */
const MAX_PER_MODULE = 1_024;

const made = new Map<string, AnyActorDefinition[]>();

export function noteDefinition(definition: AnyActorDefinition): void {
  const known = made.get(definition.module) ?? [];
  if (known.length >= MAX_PER_MODULE) return;
  known.push(definition);
  made.set(definition.module, known);
}

/**
 * The place of the definition in its module, -1 when it was not made by `defineActor`. A copy with
 * other policies is the same actor.
 */
export function ordinalOf({ module, setup, receive, protocol }: AnyActorDefinition): number {
  const same = (known: AnyActorDefinition): boolean =>
    known.setup === setup && known.receive === receive && known.protocol === protocol;
  return made.get(module)?.findIndex(same) ?? -1;
}

export function definitionAt(module: string, ordinal: number): AnyActorDefinition | undefined {
  return made.get(module)?.[ordinal];
}
