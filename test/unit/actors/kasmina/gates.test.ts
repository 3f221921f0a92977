import { describe, expect, it } from "vitest";
import {
  gateGradientHealth,
  gateInterface,
  gateReset,
  gateSanity,
  gateStability,
  gateSystemImpact,
  shadowEvidence,
} from "../../../../src/actors/kasmina/gates.ts";
import { growthSettingsSchema } from "../../../../src/actors/kasmina/settings.ts";

const settings = growthSettingsSchema.parse({});

describe("gates", () => {
  it("G0 refuses a graft that changes the host's function, and an empty module", () => {
    expect(gateSanity({ parameters: 10, functionDelta: 1e-7 }, settings).passed).toBe(true);
    expect(gateSanity({ parameters: 10, functionDelta: 1e-5 }, settings).passed).toBe(false);
    expect(gateSanity({ parameters: 0, functionDelta: 0 }, settings).passed).toBe(false);
  });

  it("G1 refuses vanished, exploded and non-finite gradients", () => {
    const judge = (gradientNorm: number, shadowLoss = 0.5) =>
      gateGradientHealth({ gradientNorm, shadowLoss }, settings).passed;
    expect(judge(0.3)).toBe(true);
    expect(judge(0)).toBe(false);
    expect(judge(1e6)).toBe(false);
    expect(judge(Number.NaN)).toBe(false);
    expect(judge(0.3, Number.NaN)).toBe(false);
  });

  it("G2 needs a gain that is large enough and not chance", () => {
    const host = Array.from({ length: 64 }, (_, step) => 0.6 + 0.02 * Math.sin(step));
    const helping = host.map((loss, step) => loss * 0.9 + 0.001 * Math.cos(step));
    const useless = host.map((loss, step) => loss + 0.001 * Math.cos(step));
    const noisy = host.map((loss, step) => loss - 0.03 + (step % 2 === 0 ? 0.6 : -0.6));
    expect(gateStability(shadowEvidence(host, helping), settings).passed).toBe(true);
    expect(gateStability(shadowEvidence(host, useless), settings).reason).toMatch(/lower the loss/);
    expect(gateStability(shadowEvidence(host, noisy), settings).reason).toMatch(/chance/);
  });

  it("G2 refuses a shadow loss that is not finite", () => {
    const evidence = shadowEvidence([0.5, 0.5], [0.4, Number.NaN]);
    expect(gateStability(evidence, settings).passed).toBe(false);
  });

  it("G3 needs the complete blend, the site, and a finite loss", () => {
    const whole = { alpha: 1, validationLoss: 0.3, sitePresent: true };
    expect(gateInterface(whole).passed).toBe(true);
    expect(gateInterface({ ...whole, alpha: 0.99 }).passed).toBe(false);
    expect(gateInterface({ ...whole, sitePresent: false }).reason).toBe("mesh_incomplete");
    expect(gateInterface({ ...whole, validationLoss: Number.NaN }).passed).toBe(false);
  });

  it("G4 compares with the time before germination and with the network without the seed", () => {
    const better = { baselineLoss: 0.6, loss: 0.3, lossWithout: 0.9 };
    const result = gateSystemImpact(better, settings);
    expect(result.passed).toBe(true);
    expect(result.numbers["impact"]).toBeCloseTo(0.5, 12);
    expect(gateSystemImpact({ ...better, loss: 0.599 }, settings).reason).toMatch(
      /not better than/,
    );
    expect(gateSystemImpact({ ...better, lossWithout: 0.2 }, settings).reason).toMatch(/without/);
    expect(gateSystemImpact({ ...better, loss: Number.NaN }, settings).passed).toBe(false);
  });

  it("G5 passes only when nothing is left", () => {
    expect(gateReset({ parametersLeft: 0, optimizerSlotsLeft: 0 }).passed).toBe(true);
    expect(gateReset({ parametersLeft: 2, optimizerSlotsLeft: 0 }).passed).toBe(false);
    expect(gateReset({ parametersLeft: 0, optimizerSlotsLeft: 1 }).passed).toBe(false);
  });
});
