/** Finds a topology by name in a checked configuration. Pure. */
import { EsperError } from "../../protocols/errors.ts";
import { didYouMean } from "../cli/suggest.ts";
import type { EsperConfig, TopologySpec } from "../topology.ts";

/** A topology with the name it is known by. */
export interface NamedTopology {
  readonly name: string;
  readonly spec: TopologySpec;
}

/**
 * The topology of this name, or the configuration's default when `name` is null. `where` is the
 * place of the name in messages.
 * @throws {TOPOLOGY_UNKNOWN} with the nearest name and the list of all.
 */
export function findTopology(
  config: EsperConfig,
  name: string | null,
  where = "--topology",
): NamedTopology {
  const wanted = name ?? config.defaults;
  const spec = Object.hasOwn(config.topologies, wanted) ? config.topologies[wanted] : undefined;
  if (spec !== undefined) return { name: wanted, spec };
  const names = Object.keys(config.topologies);
  throw new EsperError(
    "TOPOLOGY_UNKNOWN",
    `${where}: there is no topology ${JSON.stringify(wanted)}${didYouMean(wanted, names) || "."} ` +
      `There are: ${names.join(", ")}`,
    { given: wanted, topologies: names },
  );
}
