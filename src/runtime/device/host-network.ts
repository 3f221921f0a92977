/**
 * The host: its layers one after another, sites between them, and the output head. Knows nothing
 * of grafts; whoever walks through it says what happens at a site.
 */
import { EsperError } from "../../protocols/errors.ts";
import type { HostSpec, LayerSpec } from "../../protocols/leyline/modules.ts";
import type { SiteInfo } from "../../protocols/leyline/state.ts";
import type { Random } from "../random.ts";
import type { Shape, Tensor, Tf } from "./engine-types.ts";
import { buildModule } from "./layers/build-module.ts";
import type { Forward } from "./layers/layer.ts";
import { layerOutputShape, layerPath } from "./layers/shapes.ts";
import { HOST_OWNER, type ParameterStore } from "./parameters.ts";

/** One layer and the site behind it, if there is one. */
export interface Stage {
  readonly forward: Forward;
  readonly siteId: string | null;
}

/** What a host is built from; shapes are without the batch dimension. */
export interface HostShape {
  readonly inputShape: Shape;
  readonly outputUnits: number;
  readonly host: HostSpec;
}

/** A map is flattened before the head; the head itself is linear: logits or values. */
function headLayers(shape: Shape, outputUnits: number): readonly LayerSpec[] {
  const head: LayerSpec = {
    kind: "dense",
    units: outputUnits,
    activation: "linear",
    init: "lecun",
  };
  return shape.length === 1 ? [head] : [{ kind: "flatten" }, head];
}

/** @throws {CONFIG_INVALID} for a site behind a layer that is not there, or named twice. */
function checkSites({ layers, sites }: HostSpec): void {
  const seen = new Set<string>();
  for (const { after, siteId } of sites) {
    if (layers[after] === undefined || seen.has(siteId)) {
      throw new EsperError(
        "CONFIG_INVALID",
        `host site ${siteId} lies after layer ${after}; the host has layers 0 to ` +
          `${layers.length - 1}, and every site needs a name of its own`,
        { siteId, after, layers: layers.length },
      );
    }
    seen.add(siteId);
  }
}

/** The built host, with its parameters in the store under `HOST_OWNER`. */
export class HostNetwork {
  /** All layers of the host, then those of the head. */
  readonly stages: readonly Stage[];
  readonly sites: readonly SiteInfo[];

  /** @throws {CONFIG_INVALID} @throws {GRAFT_SHAPE} when the layers do not fit together. */
  constructor(tf: Tf, store: ParameterStore, shape: HostShape, random: Random) {
    const { host, inputShape, outputUnits } = shape;
    checkSites(host);
    const shapes: Shape[] = [];
    host.layers.forEach((layer, index) => {
      const given = shapes[index - 1] ?? inputShape;
      shapes.push(layerOutputShape(layer, given, layerPath("", index, layer)));
    });
    const layers = [...host.layers, ...headLayers(shapes.at(-1) ?? inputShape, outputUnits)];
    const built = buildModule(tf, store, HOST_OWNER, { layers }, inputShape, random);
    const siteAfter = new Map(host.sites.map(({ after, siteId }) => [after, siteId]));
    this.stages = built.layers.map((forward, index) => ({
      forward,
      siteId: siteAfter.get(index) ?? null,
    }));
    const inOrder = [...host.sites].sort((left, right) => left.after - right.after);
    this.sites = inOrder.map(({ after, siteId }, depth): SiteInfo => {
      const siteShape = shapes[after] ?? [];
      const kind = siteShape.length === 1 ? "vector" : "map";
      return { siteId, kind, shape: siteShape, depth };
    });
  }

  /** The stage behind which this site lies. */
  stageOf(siteId: string): number {
    return this.stages.findIndex((stage) => stage.siteId === siteId);
  }

  /**
   * Runs the stages behind `from`, up to the outputs. `atSite` turns the activation at each site
   * passed on the way into what the next layer sees.
   */
  runAfter(from: number, x: Tensor, atSite: (siteId: string, h: Tensor) => Tensor): Tensor {
    let h = x;
    for (const { forward, siteId } of this.stages.slice(from + 1)) {
      h = forward(h);
      if (siteId !== null) h = atSite(siteId, h);
    }
    return h;
  }
}
