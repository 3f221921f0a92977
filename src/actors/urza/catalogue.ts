/**
 * The blueprint catalogue (Karn's numbering, names, tiers and risks). Listed here are the
 * blueprints this version can really build; a blueprint that is not listed does not exist.
 */
import type { BlueprintListing } from "../../protocols/actors/growth.ts";

type Bounds = BlueprintListing["parameters"];

function safe(
  blueprintId: string,
  name: string,
  risk: number,
  stage: number,
  sites: BlueprintListing["sites"],
  parameters: Bounds,
  description: string,
): BlueprintListing {
  return { blueprintId, name, tier: "SAFE", risk, stage, sites, parameters, description };
}

export const CATALOGUE: readonly BlueprintListing[] = [
  safe(
    "BP002",
    "linear_projection",
    0.1,
    0,
    ["vector", "map"],
    { scale: { min: 0.5, max: 2, default: 1 } },
    "One linear layer of the site's own width.",
  ),
  safe(
    "BP003",
    "layer_norm_basic",
    0.1,
    0,
    ["vector", "map"],
    { epsilon: { min: 1e-6, max: 1e-3, default: 1e-5 } },
    "Normalisation over the last axis with a trained gain and offset.",
  ),
  safe(
    "BP009",
    "residual_block",
    0.3,
    1,
    ["vector", "map"],
    { depth: { min: 1, max: 4, default: 1 } },
    "Wide non-linear layers and a projection back to the site's width.",
  ),
  safe(
    "BP015",
    "depthwise_separable",
    0.4,
    2,
    ["map"],
    { kernel: { min: 3, max: 7, default: 3 } },
    "A depthwise convolution followed by a pointwise one.",
  ),
  safe(
    "BP016",
    "squeeze_excitation",
    0.4,
    2,
    ["map"],
    { reduction: { min: 4, max: 16, default: 4 } },
    "Channel weights from the global average of the map.",
  ),
  safe(
    "BP021",
    "feedforward_gated",
    0.5,
    2,
    ["vector"],
    { hidden_multiple: { min: 2, max: 6, default: 3 } },
    "The product of two wide layers, one of them non-linear, projected back.",
  ),
  safe(
    "BP028",
    "dense_connection",
    0.5,
    3,
    ["vector", "map"],
    { growth_rate: { min: 8, max: 48, default: 16 } },
    "New non-linear features beside the old ones, mixed by a projection.",
  ),
];

export function findBlueprint(blueprintId: string): BlueprintListing | null {
  return CATALOGUE.find((listing) => listing.blueprintId === blueprintId) ?? null;
}
