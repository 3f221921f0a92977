/**
 * Which blueprint, and where. Every pair of site and fitting blueprint gets a score in expected
 * relative loss reduction: a prior from the catalogue, corrected by what this run has measured,
 * plus a bonus for what was tried least (UCB1, Auer et al. 2002, section 2).
 */
import type { BlueprintListing } from "../../protocols/actors/growth.ts";
import type { SeedState, SiteInfo, SystemStatePacket } from "../../protocols/leyline/state.ts";

export interface Candidate {
  readonly siteId: string;
  readonly blueprintId: string;
  readonly score: number;
}

/** Gain expected of a risk-free blueprint before anything was measured. */
const PRIOR_GAIN = 0.1;
/** The prior weighs as much as this many measurements. */
const PRIOR_WEIGHT = 1;
const EXPLORATION = 0.05;
/** What cannot bend the function adds no capacity: rescaling is worth half. */
const LINEAR_DISCOUNT = 0.5;
const LINEAR_BLUEPRINTS: ReadonlySet<string> = new Set(["linear_projection", "layer_norm_basic"]);

function measuredGain(seed: SeedState): number {
  return seed.stage === "FOSSILIZED" ? (seed.gain ?? 0) : Math.min(0, seed.gain ?? 0);
}

function prior(listing: BlueprintListing): number {
  const capacity = LINEAR_BLUEPRINTS.has(listing.name) ? LINEAR_DISCOUNT : 1;
  return PRIOR_GAIN * (1 - listing.risk) * capacity;
}

function score(
  listing: BlueprintListing,
  site: SiteInfo,
  settled: readonly SeedState[],
  sites: number,
): number {
  const tried = settled.filter((seed) => seed.blueprintId === listing.blueprintId);
  const here = settled.filter((seed) => seed.siteId === site.siteId).length;
  const total = tried.reduce((sum, seed) => sum + measuredGain(seed), 0);
  const mean = (PRIOR_WEIGHT * prior(listing) + total) / (PRIOR_WEIGHT + tried.length);
  const bonus = EXPLORATION * Math.sqrt(Math.log(1 + settled.length) / (1 + tried.length));
  // Spread over the host: each attempt at a site makes the others a little more attractive.
  const crowding = sites > 1 ? (0.01 * here) / sites : 0;
  return mean + bonus - crowding;
}

/** All pairs that fit, best first; equal scores keep the order of sites and catalogue. */
export function rankCandidates(
  packet: SystemStatePacket,
  catalogue: readonly BlueprintListing[],
): readonly Candidate[] {
  const settled = packet.seedStates.filter((seed) => seed.settledAtStep !== null);
  const pairs = packet.hostSites.flatMap((site) =>
    catalogue
      .filter((listing) => listing.tier === "SAFE" && listing.sites.includes(site.kind))
      .map((listing) => ({
        siteId: site.siteId,
        blueprintId: listing.blueprintId,
        score: score(listing, site, settled, packet.hostSites.length),
      })),
  );
  return pairs.sort((left, right) => right.score - left.score);
}
