/**
 * Turns a blueprint into the module for one site. The output always has the site's own shape, and
 * the last layer starts small (a tenth of the usual spread), so a fresh seed barely changes what
 * it is added to.
 */
import type { BlueprintListing } from "../../protocols/actors/growth.ts";
import { EsperError } from "../../protocols/errors.ts";
import type { LayerSpec, ModuleSpec } from "../../protocols/leyline/modules.ts";
import type { SiteInfo } from "../../protocols/leyline/state.ts";

type Parameters = Readonly<Record<string, number>>;
type Builder = (site: SiteInfo, parameter: (name: string) => number) => readonly LayerSpec[];

const QUIET = 0.1;
const MIN_HIDDEN = 16;
const MAX_HIDDEN = 256;

const channelsOf = (site: SiteInfo): number => site.shape.at(-1) ?? 0;
const clamp = (value: number): number => Math.min(MAX_HIDDEN, Math.max(MIN_HIDDEN, value));
const hiddenOf = (site: SiteInfo, multiple: number): number =>
  clamp(Math.round(multiple * channelsOf(site)));

/** One layer of `units` features at this kind of site; 3x3 where the site has a neighbourhood. */
function wide(site: SiteInfo, units: number): LayerSpec {
  return site.kind === "vector"
    ? { kind: "dense", units, activation: "silu", init: "lecun" }
    : { kind: "conv2d", filters: units, kernel: 3, activation: "silu", init: "he" };
}

/** Back to the site's width: `fanIn` inputs, weights N(0, (spread^2)/fanIn). */
function project(site: SiteInfo, fanIn: number, spread: number): LayerSpec {
  const units = channelsOf(site);
  const init = { normal: spread / Math.sqrt(fanIn) };
  return site.kind === "vector"
    ? { kind: "dense", units, activation: "linear", init }
    : { kind: "conv2d", filters: units, kernel: 1, activation: "linear", init };
}

const BUILDERS: Readonly<Record<string, Builder>> = {
  linear_projection: (site, parameter) => [
    project(site, channelsOf(site), QUIET * parameter("scale")),
  ],
  layer_norm_basic: (site, parameter) => [
    { kind: "layerNorm", epsilon: parameter("epsilon") },
    project(site, channelsOf(site), QUIET),
  ],
  residual_block: (site, parameter) => {
    const hidden = hiddenOf(site, site.kind === "vector" ? 3 : 1);
    const depth = Math.round(parameter("depth"));
    return [
      ...Array.from({ length: depth }, () => wide(site, hidden)),
      project(site, hidden, QUIET),
    ];
  },
  depthwise_separable: (site, parameter) => [
    { kind: "depthwise", kernel: Math.round(parameter("kernel")), activation: "silu" },
    project(site, channelsOf(site), QUIET),
  ],
  squeeze_excitation: (site, parameter) => {
    const channels = channelsOf(site);
    const squeezed = Math.max(1, Math.round(channels / parameter("reduction")));
    const gate: ModuleSpec = {
      layers: [
        { kind: "globalAverage" },
        { kind: "dense", units: squeezed, activation: "silu" },
        { kind: "dense", units: channels, activation: "sigmoid" },
      ],
    };
    return [{ kind: "gate", gate }, project(site, channels, QUIET)];
  },
  feedforward_gated: (site, parameter) => {
    const units = hiddenOf(site, parameter("hidden_multiple"));
    const left: ModuleSpec = { layers: [{ kind: "dense", units, activation: "silu" }] };
    const right: ModuleSpec = { layers: [{ kind: "dense", units, activation: "linear" }] };
    return [{ kind: "product", left, right }, project(site, units, QUIET)];
  },
  dense_connection: (site, parameter) => {
    const grown = Math.round(parameter("growth_rate"));
    const branches: ModuleSpec[] = [{ layers: [] }, { layers: [wide(site, grown)] }];
    return [{ kind: "concat", branches }, project(site, channelsOf(site) + grown, QUIET)];
  },
};

function readParameter(listing: BlueprintListing, given: Parameters, name: string): number {
  const bounds = listing.parameters[name];
  const value = given[name] ?? bounds?.default;
  if (
    bounds === undefined ||
    value === undefined ||
    !(value >= bounds.min && value <= bounds.max)
  ) {
    throw new EsperError(
      "BLUEPRINT_REFUSED",
      `${listing.blueprintId} ${listing.name}: parameter ${name} is ${value}, ` +
        `allowed is ${bounds?.min} to ${bounds?.max}`,
      { blueprintId: listing.blueprintId, parameter: name, value, ...bounds },
    );
  }
  return value;
}

/**
 * The module of `listing` for `site`.
 * @throws {BLUEPRINT_REFUSED} for a site kind, a parameter or a tier the blueprint may not have.
 */
export function compileBlueprint(
  listing: BlueprintListing,
  site: SiteInfo,
  given: Parameters,
): ModuleSpec {
  const builder = BUILDERS[listing.name];
  if (builder === undefined || !listing.sites.includes(site.kind)) {
    throw new EsperError(
      "BLUEPRINT_REFUSED",
      `${listing.blueprintId} ${listing.name} cannot be built for ${site.siteId}, a ${site.kind} ` +
        `site; it fits ${listing.sites.join(" and ")} sites`,
      { blueprintId: listing.blueprintId, site: site.siteId, kind: site.kind },
    );
  }
  for (const name of Object.keys(given)) readParameter(listing, given, name);
  return { layers: builder(site, (name) => readParameter(listing, given, name)) };
}
