/**
 * Blueprint artifacts are data, never code: a module is a tree of layer descriptions that the
 * tensor engine builds. Shapes are without the batch dimension.
 */

export const ACTIVATIONS = ["relu", "tanh", "gelu", "silu", "sigmoid", "linear"] as const;
/** What a layer does to its sums. */
export type Activation = (typeof ACTIVATIONS)[number];

/** How fresh weights are drawn. "lecun": N(0, 1/fan-in); "he": N(0, 2/fan-in). */
export type WeightInit = "lecun" | "he" | "zero" | { readonly normal: number };

/** One layer, as data. */
export type LayerSpec =
  | {
      readonly kind: "dense";
      readonly units: number;
      readonly activation: Activation;
      readonly init?: WeightInit;
    }
  | {
      readonly kind: "conv2d";
      readonly filters: number;
      readonly kernel: number;
      readonly activation: Activation;
      readonly init?: WeightInit;
    }
  | { readonly kind: "depthwise"; readonly kernel: number; readonly activation: Activation }
  | { readonly kind: "activation"; readonly activation: Activation }
  | { readonly kind: "layerNorm"; readonly epsilon: number }
  | { readonly kind: "maxPool"; readonly size: number }
  | { readonly kind: "flatten" }
  /** Mean over height and width: map to vector. */
  | { readonly kind: "globalAverage" }
  /** x * sigmoid-or-other(gate(x)): channel attention, highway gates, gated feed-forward. */
  | { readonly kind: "gate"; readonly gate: ModuleSpec }
  /** Concatenates the outputs of the branches on the last axis. */
  | { readonly kind: "concat"; readonly branches: readonly ModuleSpec[] }
  /** Elementwise product of the outputs of the two branches. */
  | { readonly kind: "product"; readonly left: ModuleSpec; readonly right: ModuleSpec }
  /** x + body(x). */
  | { readonly kind: "residual"; readonly body: ModuleSpec };

/** A module that can be grafted: its layers, in order. */
export interface ModuleSpec {
  readonly layers: readonly LayerSpec[];
}

/** A host network: ordinary layers; every layer named in `sites` can carry grafts after it. */
export interface HostSpec {
  readonly layers: readonly LayerSpec[];
  /** Indices into `layers` after whose output a site lies, with the site's name. */
  readonly sites: readonly { readonly after: number; readonly siteId: string }[];
}
