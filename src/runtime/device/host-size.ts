/** How many parameters a requested host has, without building it. */
import type { HostRequest } from "../../protocols/run.ts";
import { type Shape, sizeOf } from "./engine-types.ts";

const CNN_KERNEL = 3;
const CNN_POOL = 2;

/** Weights and biases of the host's layers and of the dense head with `outputs` units. */
export function countHostParameters(
  request: HostRequest,
  inputShape: Shape,
  outputs: number,
): number {
  const flat = request.kind === "mlp";
  let fanIn = flat ? sizeOf(inputShape) : (inputShape[2] ?? 0);
  let cells = flat ? 1 : (inputShape[0] ?? 0) * (inputShape[1] ?? 0);
  let [height = 0, width = 0] = inputShape;
  let total = 0;
  for (const units of request.widths) {
    total += fanIn * units * (flat ? 1 : CNN_KERNEL * CNN_KERNEL) + units;
    fanIn = units;
    if (flat) continue;
    height = Math.floor(height / CNN_POOL);
    width = Math.floor(width / CNN_POOL);
    cells = height * width;
  }
  return total + cells * fanIn * outputs + outputs;
}
