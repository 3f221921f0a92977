/** One seed in the network: its module, where it sits, and how much of it is felt. */
import type { BlendModeName } from "../../protocols/leyline/enums.ts";
import type { ModuleSpec } from "../../protocols/leyline/modules.ts";
import { type BlendOptions, blend, detached } from "./blend.ts";
import type { Tensor, Tf } from "./engine-types.ts";
import type { BuiltModule } from "./layers/build-module.ts";

/**
 * "idle": built, not run. "shadow": trained beside the host, which does not feel it. "blend": part
 * of the network by its alpha.
 */
export const GRAFT_PHASES = ["idle", "shadow", "blend"] as const;
/** The name of a phase. */
export type GraftPhase = (typeof GRAFT_PHASES)[number];

/** Plain data: a graft as it is stored. */
export interface GraftRecord {
  readonly seedId: string;
  readonly siteId: string;
  readonly module: ModuleSpec;
  readonly mode: BlendModeName;
  readonly hostGradient: "through" | "detached";
  readonly alphaVec: readonly number[] | null;
  readonly alpha: number;
  readonly phase: GraftPhase;
}

/** A seed as the forward pass sees it; `alpha` and `phase` may change between passes. */
export class Graft {
  readonly seedId: string;
  readonly siteId: string;
  alpha: number;
  phase: GraftPhase;
  readonly #record: GraftRecord;
  readonly #tf: Tf;
  readonly #module: BuiltModule;
  readonly #blend: BlendOptions;

  constructor(tf: Tf, record: GraftRecord, module: BuiltModule) {
    this.seedId = record.seedId;
    this.siteId = record.siteId;
    this.alpha = record.alpha;
    this.phase = record.phase;
    this.#record = record;
    this.#tf = tf;
    this.#module = module;
    this.#blend = { mode: record.mode, alphaVec: record.alphaVec ?? undefined };
  }

  /** How much of the seed the network feels by itself: 0 unless blending. */
  get activeAlpha(): number {
    return this.phase === "blend" ? this.alpha : 0;
  }

  get record(): GraftRecord {
    return { ...this.#record, alpha: this.alpha, phase: this.phase };
  }

  /** What the network goes on with when the seed has this alpha; `h` itself when it is 0. */
  apply(h: Tensor, alpha: number): Tensor {
    if (alpha === 0) return h;
    const tf = this.#tf;
    const host = this.#record.hostGradient === "detached" ? detached(tf, h) : h;
    return blend(tf, host, this.#module.forward(host), alpha, this.#blend);
  }
}
