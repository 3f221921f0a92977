/** Reads the annotations of a seed command. Nothing is guessed: what is missing is refused. */
import { z } from "zod";
import { EsperError } from "../../protocols/errors.ts";
import type { AdaptationCommand } from "../../protocols/leyline/command.ts";
import type { SiteInfo } from "../../protocols/leyline/state.ts";
import type { DependencyGuard } from "../../runtime/guard.ts";

const layersSchema = z.array(z.string().min(1).max(128)).min(1).max(128);

function parseLayers(text: string): readonly string[] | null {
  try {
    return layersSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/**
 * The one host site named by `mesh_host_layers`.
 * @throws {DEPENDENCY_VIOLATION} when the annotation or the site is missing
 * @throws {COMMAND_INVALID} when it is not a JSON list of one name
 */
export function requestedSite(
  command: AdaptationCommand,
  sites: readonly SiteInfo[],
  guard: DependencyGuard,
): SiteInfo {
  const given = command.annotations["mesh_host_layers"] ?? "";
  const context = {
    subsystem: "kasmina",
    dependencyType: "mesh_host_layers",
    identifier: command.targetSeedId,
    commandId: command.commandId,
  };
  guard.ensurePresent(given, context, "missing_mesh_layers");
  const layers = parseLayers(given);
  const [siteId] = layers ?? [];
  if (layers === null || siteId === undefined || layers.length !== 1) {
    throw new EsperError(
      "COMMAND_INVALID",
      `mesh_host_layers must be a JSON list of one site, given ${given.slice(0, 80)}`,
      { given: given.slice(0, 256), allowed: sites.map((site) => site.siteId) },
    );
  }
  const site = sites.find((candidate) => candidate.siteId === siteId);
  return guard.verifyEntry(site, { ...context, dependencyType: "host_site", identifier: siteId });
}
