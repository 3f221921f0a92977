/** Host networks by shape: what `--host mlp:16,16` and `--host cnn:4,8` mean in layers. */
import { EsperError } from "../../protocols/errors.ts";
import type { HostSpec, LayerSpec } from "../../protocols/leyline/modules.ts";
import type { HostRequest } from "../../protocols/run.ts";
import { type Shape, sizeOf } from "./engine-types.ts";

interface Draft {
  readonly layers: LayerSpec[];
  readonly sites: { readonly after: number; readonly siteId: string }[];
}

function mlp(widths: readonly number[], inputShape: Shape): HostSpec {
  const draft: Draft = { layers: [], sites: [] };
  if (inputShape.length > 1) draft.layers.push({ kind: "flatten" });
  widths.forEach((units, index) => {
    draft.layers.push({ kind: "dense", units, activation: "silu", init: "he" });
    draft.sites.push({ after: draft.layers.length - 1, siteId: `hidden${index + 1}` });
  });
  return draft;
}

/** Every stage halves the image, so the image must be large enough for all of them. */
function cnn(widths: readonly number[], inputShape: Shape): HostSpec {
  const [height = 0, width = 0] = inputShape;
  const smallest = 2 ** widths.length;
  if (inputShape.length !== 3 || Math.min(height, width) < smallest) {
    throw new EsperError(
      "CONFIG_INVALID",
      `--host cnn:${widths.join(",")} needs images of at least ${smallest}x${smallest}, ` +
        `the data has shape [${inputShape.join(", ")}]; use --host mlp:<widths> or fewer widths`,
      { host: `cnn:${widths.join(",")}`, inputShape, smallest },
    );
  }
  const draft: Draft = { layers: [], sites: [] };
  widths.forEach((filters, index) => {
    draft.layers.push(
      { kind: "conv2d", filters, kernel: 3, activation: "silu", init: "he" },
      { kind: "maxPool", size: 2 },
    );
    draft.sites.push({ after: draft.layers.length - 1, siteId: `conv${index + 1}` });
  });
  return draft;
}

/**
 * The layers of the requested host for inputs of this shape, up to but without the output head.
 * @throws {CONFIG_INVALID} when the host does not fit the data or has no layer.
 */
export function hostSpec(request: HostRequest, inputShape: Shape): HostSpec {
  const { kind, widths } = request;
  if (widths.length === 0 || !widths.every((width) => Number.isInteger(width) && width > 0)) {
    throw new EsperError(
      "CONFIG_INVALID",
      `--host ${kind}:${widths.join(",")} needs whole widths above 0, e.g. ${kind}:16,16`,
      { host: kind, widths },
    );
  }
  return kind === "mlp" ? mlp(widths, inputShape) : cnn(widths, inputShape);
}

/** One line for people, e.g. `mlp 64 -> 16 -> 16`. */
export function describeHost(request: HostRequest, inputShape: Shape): string {
  const input = request.kind === "mlp" ? String(sizeOf(inputShape)) : inputShape.join("x");
  return `${request.kind} ${[input, ...request.widths].join(" -> ")}`;
}
