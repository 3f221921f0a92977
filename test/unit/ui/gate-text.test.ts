import { describe, expect, it } from "vitest";
import { gateName, gateNumbers, gateVerdict } from "../../../src/runtime/cli/ui/gate-text.ts";
import { createGlossary } from "../../../src/runtime/cli/ui/glossary.ts";
import { G2 } from "./run-events.ts";

describe("a gate's verdict", () => {
  it("sets the losses against each other and names what was needed", () => {
    expect(gateVerdict(G2)).toBe(
      "gate G2 stability passed: shadow loss 0.412 < host loss 0.603 " +
        "(gain 31.7 %, needed 2 %; z 8.44, needed 2)",
    );
  });

  it("shows the true relation when the seed is worse", () => {
    const numbers = { host_loss: 0.3, shadow_loss: 0.4 };
    expect(gateNumbers({ ...G2, numbers })).toBe("shadow loss 0.4 > host loss 0.3");
    const broken = { host_loss: 0.3, shadow_loss: Number.NaN };
    expect(gateNumbers({ ...G2, numbers: broken })).toBe("shadow loss n/a against host loss 0.3");
  });

  it("says why a gate failed", () => {
    const failed = { ...G2, passed: false, reason: "the improvement could be chance", numbers: {} };
    expect(gateVerdict(failed)).toBe("gate G2 stability failed, the improvement could be chance");
  });

  it("writes numbers it has never heard of", () => {
    const gate = {
      gate: "G0_SANITY",
      numbers: { parameters: 352, function_delta: 0, allowed_delta: 1e-6, someNewThing: 7 },
    } as const;
    expect(gateNumbers(gate)).toBe(
      "parameters 352; function delta 0, allowed 1e-6; some new thing 7",
    );
  });

  it("accepts camel case just as well", () => {
    const numbers = { hostLoss: 0.6, shadowLoss: 0.4, gain: 0.333, neededGain: 0.02 };
    expect(gateNumbers({ gate: "G2_STABILITY", numbers })).toBe(
      "shadow loss 0.4 < host loss 0.6 (gain 33.3 %, needed 2 %)",
    );
  });

  it("keeps a limit whose number is missing", () => {
    expect(gateNumbers({ gate: "G4_SYSTEM_IMPACT", numbers: { needed_impact: 0.01 } })).toBe(
      "needed impact 1 %",
    );
  });

  it("names gates for people", () => {
    expect(gateName("G4_SYSTEM_IMPACT")).toBe("G4 system impact");
  });
});

describe("the glossary", () => {
  it("explains a name once, wherever it comes first", () => {
    const { explain } = createGlossary();
    expect(explain("tamiyo was restarted")).toBe("Tamiyo (controller) was restarted");
    expect(explain("Tamiyo asked Kasmina")).toBe("Tamiyo asked Kasmina (grower)");
  });

  it("sees a name behind a colour", () => {
    const coloured = "\u001b[2mroles\u001b[22mTolaria";
    expect(createGlossary().explain(coloured)).toBe(`${coloured} (trainer)`);
  });

  it("leaves paths, flags and settings alone", () => {
    const { explain } = createGlossary();
    const text = "TAMIYO_STEP_TIMEOUT_MS kill:tamiyo@3s /runs/tamiyo/wal tamiyo-1";
    expect(explain(text)).toBe(text);
  });

  it("does not explain what is already explained", () => {
    expect(createGlossary().explain("Urza (library) answers")).toBe("Urza (library) answers");
  });
});
