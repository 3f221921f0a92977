/** Stands in for the package's public API in the configurations of the corpus. */
import { z } from "zod";
import { protocol } from "../../../src/protocols/protocol.ts";
import { defineActor } from "../../../src/runtime/actor.ts";

export { actor, defineConfig, supervisor } from "../../../src/runtime/topology.ts";

/** An actor that does nothing. */
export function resident(name: string) {
  return defineActor(import.meta.url, protocol(name, {}), {
    config: z.strictObject({}),
    setup: () => ({}),
    receive: {},
  });
}

/** Shared identity: equal only when a configuration gets this very module. */
export const marker = { module: import.meta.url };
