/** Urza (blueprint library): answers what can be grown, and builds the artifact for one site. */
import { z } from "zod";
import { UrzaProtocol } from "../../protocols/actors/growth.ts";
import { EsperError } from "../../protocols/errors.ts";
import { moduleChecksum } from "../../protocols/leyline/artifact.ts";
import { defineActor } from "../../runtime/actor.ts";
import { CATALOGUE, findBlueprint } from "./catalogue.ts";
import { compileBlueprint } from "./compile.ts";

/** Keeps the catalogue of blueprints and hands out their artifacts. */
export const urza = defineActor(import.meta.url, UrzaProtocol, {
  config: z.strictObject({}),
  setup: () => null,
  receive: {
    catalogue: () => CATALOGUE,
    fetch(_state, { blueprintId, site, parameters }, ctx) {
      const listing = findBlueprint(blueprintId);
      if (listing === null) {
        throw new EsperError("BLUEPRINT_UNKNOWN", `there is no blueprint ${blueprintId}`, {
          blueprintId,
          known: CATALOGUE.map((entry) => entry.blueprintId),
        });
      }
      const module = compileBlueprint(listing, site, parameters);
      ctx.metrics.count("urza.artifacts_total", { blueprint_id: blueprintId });
      return {
        blueprintId,
        blueprintName: listing.name,
        siteId: site.siteId,
        module,
        checksum: moduleChecksum(module),
      };
    },
  },
});
