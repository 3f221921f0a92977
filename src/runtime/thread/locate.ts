/** Finds the definition of an actor in the module that exports it, here or in another thread. */
import { EsperError } from "../../protocols/errors.ts";
import type { AnyActorDefinition } from "../actor.ts";

function isDefinition(value: unknown): value is AnyActorDefinition {
  return (
    typeof value === "object" &&
    value !== null &&
    "protocol" in value &&
    "receive" in value &&
    "setup" in value
  );
}

async function exportsOf(module: string): Promise<Readonly<Record<string, unknown>>> {
  return (await import(module)) as Readonly<Record<string, unknown>>;
}

/**
 * The name under which the definition's module exports it: the export that is this very object,
 * else the only one of the same protocol (a loader may have made a second copy of the module).
 * @throws {CONFIG_INVALID} when there is none, or more than one.
 */
export async function findExportName(
  actor: string,
  definition: AnyActorDefinition,
): Promise<string> {
  const { module, protocol } = definition;
  const entries = Object.entries(await exportsOf(module));
  const same = entries.find(([, value]) => value === definition);
  if (same !== undefined) return same[0];
  const alike = entries.filter(
    ([, value]) => isDefinition(value) && value.protocol.name === protocol.name,
  );
  if (alike.length === 1 && alike[0] !== undefined) return alike[0][0];
  const text =
    `the definition of the actor ${actor} must be an export of ${module}, so that a worker ` +
    `thread can load it; there are ${alike.length} exports with the protocol ${protocol.name}`;
  throw new EsperError("CONFIG_INVALID", text, { actor, module, protocol: protocol.name });
}

/** @throws {CONFIG_INVALID} when the module has no such definition. */
export async function loadDefinition(
  module: string,
  exportName: string,
): Promise<AnyActorDefinition> {
  const value = (await exportsOf(module))[exportName];
  if (isDefinition(value)) return value;
  const text = `${module} has no actor definition named ${exportName}`;
  throw new EsperError("CONFIG_INVALID", text, { module, exportName });
}
