/** Finds the definition of an actor in the module that makes it, here or in another thread. */
import { EsperError } from "../../protocols/errors.ts";
import type { AnyActorDefinition } from "../actor.ts";
import { definitionAt, ordinalOf } from "../definitions.ts";
import type { ActorSource } from "./wire.ts";

/**
 * How another thread finds the definition.
 * @throws {CONFIG_INVALID} when `defineActor` did not make it: no other thread could have it.
 */
export function sourceOf(
  name: string,
  definition: AnyActorDefinition,
  config: unknown,
): ActorSource {
  const { module, protocol } = definition;
  const ordinal = ordinalOf(definition);
  if (ordinal >= 0) return { name, module, ordinal, protocol: protocol.name, config };
  const text =
    `the definition of the actor ${name} must come from defineActor, with its own protocol and ` +
    `handlers, so that a worker thread finds it in ${module}`;
  throw new EsperError("CONFIG_INVALID", text, { actor: name, module, protocol: protocol.name });
}

/** @throws {CONFIG_INVALID} when the module does not make such a definition in this thread. */
export async function loadDefinition(source: ActorSource): Promise<AnyActorDefinition> {
  const { name, module, ordinal, protocol } = source;
  await import(module);
  const definition = definitionAt(module, ordinal);
  if (definition?.protocol.name === protocol) return definition;
  const text =
    `the definition of the actor ${name} (number ${ordinal} of ${module}, protocol ${protocol}) ` +
    "is not made when a worker thread loads the module; call defineActor at its top level";
  throw new EsperError("CONFIG_INVALID", text, { actor: name, module, ordinal });
}

/** Loads modules that will be asked for definitions later. */
export async function preload(modules: readonly string[]): Promise<void> {
  await Promise.all(modules.map((module) => import(module)));
}
