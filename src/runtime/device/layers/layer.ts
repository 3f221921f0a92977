/** What a layer builder is given and what it makes: a function from tensor to tensor. */
import type { ModuleSpec } from "../../../protocols/leyline/modules.ts";
import type { Random } from "../../random.ts";
import type { Shape, Tensor, Tf, Variable } from "../engine-types.ts";

/** Runs inside the caller's tidy; what it leaves behind there is the caller's to free. */
export type Forward = (x: Tensor) => Tensor;

/** Everything a builder may use. Shapes have been checked before a builder runs. */
export interface LayerSite {
  readonly tf: Tf;
  readonly inputShape: Shape;
  readonly random: Random;
  /** A new parameter of this layer. */
  parameter(name: string, shape: Shape, values: Float32Array): Variable;
  /** Builds a module inside this layer, on the layer's own input. */
  inner(name: string, module: ModuleSpec): Forward;
}
