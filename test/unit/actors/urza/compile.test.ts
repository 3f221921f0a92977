import { expect, it } from "vitest";
import { CATALOGUE } from "../../../../src/actors/urza/catalogue.ts";
import { compileBlueprint } from "../../../../src/actors/urza/compile.ts";
import { moduleChecksum } from "../../../../src/protocols/leyline/artifact.ts";
import type { SiteInfo } from "../../../../src/protocols/leyline/state.ts";

const vector: SiteInfo = { siteId: "hidden1", kind: "vector", shape: [12], depth: 0 };
const map: SiteInfo = { siteId: "conv1", kind: "map", shape: [8, 8, 4], depth: 0 };

it("builds every listed blueprint for every kind of site it names", () => {
  for (const listing of CATALOGUE) {
    for (const site of [vector, map]) {
      const build = () => compileBlueprint(listing, site, {});
      if (listing.sites.includes(site.kind)) expect(build().layers.length).toBeGreaterThan(0);
      else expect(build).toThrow(expect.objectContaining({ code: "BLUEPRINT_REFUSED" }));
    }
  }
});

it("refuses parameters outside their bounds and parameters it does not have", () => {
  const residual = CATALOGUE.find((listing) => listing.name === "residual_block")!;
  expect(() => compileBlueprint(residual, vector, { depth: 5 })).toThrow(/depth is 5.*1 to 4/);
  expect(() => compileBlueprint(residual, vector, { depth: Number.NaN })).toThrow(/NaN/);
  expect(() => compileBlueprint(residual, vector, { width: 1 })).toThrow(/width/);
  expect(compileBlueprint(residual, vector, { depth: 4 }).layers).toHaveLength(5);
});

it("gives a checksum that notices any change of the module", () => {
  const residual = CATALOGUE.find((listing) => listing.name === "residual_block")!;
  const one = compileBlueprint(residual, vector, { depth: 1 });
  expect(moduleChecksum(one)).toBe(moduleChecksum(structuredClone(one)));
  expect(moduleChecksum(one)).not.toBe(
    moduleChecksum(compileBlueprint(residual, vector, { depth: 2 })),
  );
});
