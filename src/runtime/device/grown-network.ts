/**
 * Host and grafts as one function from inputs to outputs. Decides nothing about training: the
 * caller says which alpha each graft has for this pass.
 */
import type { Tensor } from "./engine-types.ts";
import type { Graft } from "./graft.ts";
import type { HostNetwork } from "./host-network.ts";

/** The alpha of a graft in one pass; 0 leaves it out. */
export type AlphaOf = (graft: Graft) => number;

/** Sees the activation that a graft would take in, inside the pass. */
export type Tap = (graft: Graft, h: Tensor) => void;

/** The forward pass over host and grafts. */
export class GrownNetwork {
  readonly host: HostNetwork;
  readonly #grafts: Graft[];

  constructor(host: HostNetwork, grafts: readonly Graft[] = []) {
    this.host = host;
    this.#grafts = [...grafts];
  }

  get grafts(): readonly Graft[] {
    return this.#grafts;
  }

  find(seedId: string): Graft | undefined {
    return this.#grafts.find((graft) => graft.seedId === seedId);
  }

  add(graft: Graft): void {
    this.#grafts.push(graft);
  }

  remove(graft: Graft): void {
    this.#grafts.splice(this.#grafts.indexOf(graft), 1);
  }

  /** The same network, built from the same parts, but without this graft. */
  without(graft: Graft): GrownNetwork {
    return new GrownNetwork(
      this.host,
      this.#grafts.filter((other) => other !== graft),
    );
  }

  /** The outputs for these inputs. Runs inside the caller's tidy. */
  forward(x: Tensor, alphaOf: AlphaOf, tap?: Tap): Tensor {
    return this.host.runAfter(-1, x, (siteId, h) => this.#atSite(siteId, h, alphaOf, tap));
  }

  /**
   * The outputs when `graft` takes in `h` at its own site with alpha 1; everything behind it as in
   * `forward`. Runs inside the caller's tidy.
   */
  forwardFrom(graft: Graft, h: Tensor, alphaOf: AlphaOf): Tensor {
    const { host } = this;
    const behind = this.#grafts.slice(this.#grafts.indexOf(graft) + 1);
    const blended = this.#chain(behind, graft.siteId, graft.apply(h, 1), alphaOf);
    return host.runAfter(host.stageOf(graft.siteId), blended, (siteId, activation) =>
      this.#atSite(siteId, activation, alphaOf),
    );
  }

  #atSite(siteId: string, h: Tensor, alphaOf: AlphaOf, tap?: Tap): Tensor {
    return this.#chain(this.#grafts, siteId, h, alphaOf, tap);
  }

  #chain(grafts: readonly Graft[], siteId: string, h: Tensor, alphaOf: AlphaOf, tap?: Tap): Tensor {
    let current = h;
    for (const graft of grafts) {
      if (graft.siteId !== siteId) continue;
      tap?.(graft, current);
      current = graft.apply(current, alphaOf(graft));
    }
    return current;
  }
}
