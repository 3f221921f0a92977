/**
 * How a graft's output enters the network. With h the host's activation and s the seed's output:
 * CONVEX a*s + (1-a)*h, RESIDUAL h + a*s, CHANNEL as CONVEX with a*v_c per channel. Alpha 0 is
 * never blended: 0 * NaN is NaN, and an absent seed must leave no trace.
 */
import { EsperError } from "../../protocols/errors.ts";
import type { BlendModeName } from "../../protocols/leyline/enums.ts";
import type { Shape, Tensor, Tf } from "./engine-types.ts";

/** Longest channel vector a blend may have. */
export const ALPHA_VECTOR_MAX = 64;

/** The blend mode of one graft and what the mode needs. */
export interface BlendOptions {
  readonly mode: BlendModeName;
  /** One factor per channel, each within 0..1; CHANNEL needs it, the other modes refuse it. */
  readonly alphaVec?: readonly number[] | undefined;
}

const clamp = (value: number): number => Math.min(1, Math.max(0, value));

function refuse(seedId: string, reason: string, details: Record<string, unknown>): never {
  throw new EsperError("BLEND_INVALID", `seed ${seedId}: ${reason}`, { seedId, ...details });
}

/** @throws {BLEND_INVALID} for a mode that cannot be used with these options at this site. */
export function checkBlend(seedId: string, options: BlendOptions, siteShape: Shape): void {
  const { mode, alphaVec } = options;
  if (mode === "CONFIDENCE") {
    refuse(seedId, "blend mode CONFIDENCE is not available; use CONVEX, RESIDUAL or CHANNEL", {
      mode,
    });
  }
  if (mode !== "CHANNEL") {
    if (alphaVec !== undefined) refuse(seedId, `blend mode ${mode} takes no alphaVec`, { mode });
    return;
  }
  const channels = siteShape.at(-1) ?? 0;
  const fits = alphaVec?.length === channels && channels <= ALPHA_VECTOR_MAX;
  if (!fits || !alphaVec.every((factor) => factor >= 0 && factor <= 1)) {
    refuse(
      seedId,
      `blend mode CHANNEL needs an alphaVec of ${channels} numbers from 0 to 1, ` +
        `at most ${ALPHA_VECTOR_MAX}; given are ${alphaVec?.length ?? 0}`,
      { mode, channels, given: alphaVec?.length ?? 0 },
    );
  }
}

/** The blended activation for alpha in (0, 1]; both tensors have the site's shape. */
export function blend(tf: Tf, h: Tensor, s: Tensor, alpha: number, options: BlendOptions): Tensor {
  const a = clamp(alpha);
  switch (options.mode) {
    case "RESIDUAL":
      return tf.add(h, a === 1 ? s : tf.mul(s, a));
    case "CHANNEL": {
      const factors = (options.alphaVec ?? []).map((factor) => clamp(a * factor));
      const kept = factors.map((factor) => 1 - factor);
      return tf.add(tf.mul(s, tf.tensor1d(factors)), tf.mul(h, tf.tensor1d(kept)));
    }
    default:
      return a === 1 ? s : tf.add(tf.mul(s, a), tf.mul(h, 1 - a));
  }
}

/** The same values with no gradient behind them. */
export function detached(tf: Tf, x: Tensor): Tensor {
  const cut = tf.customGrad((...given) => {
    const value = tf.clone(given[0] as Tensor);
    return { value, gradFunc: (dy) => tf.zerosLike(dy) };
  });
  return cut(x);
}
