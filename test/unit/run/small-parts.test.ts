import { describe, expect, it } from "vitest";
import type { FaultRequest } from "../../../src/protocols/run.ts";
import type { Clock } from "../../../src/runtime/clock.ts";
import type { Files } from "../../../src/runtime/durable/files.ts";
import { FaultPlan } from "../../../src/runtime/run/faults.ts";
import { readMisses } from "../../../src/runtime/run/misses.ts";
import { formatPredictions } from "../../../src/runtime/run/predictions.ts";
import { chooseSecret } from "../../../src/runtime/run/secret.ts";

function manualClock() {
  const timers: { atMs: number; fire: () => void; cancelled: boolean }[] = [];
  const clock = {
    after(delayMs: number, fire: () => void) {
      const timer = { atMs: delayMs, fire, cancelled: false };
      timers.push(timer);
      return {
        cancel: () => {
          timer.cancelled = true;
        },
      };
    },
  } as unknown as Clock;
  return { clock, timers };
}

describe("fault plan", () => {
  const byTime: FaultRequest = { kind: "kill", actor: "tamiyo", at: { afterMs: 3_000 } };
  const byStep: FaultRequest = { kind: "crash", actor: "kasmina", at: { step: 500 } };

  it("strikes each fault once, by time and by step", () => {
    const struck: string[] = [];
    const { clock, timers } = manualClock();
    const target = {
      kill: (actor: string) => void struck.push(`kill ${actor}`),
      crash: (actor: string) => void struck.push(`crash ${actor}`),
    };
    const plan = new FaultPlan([byTime, byStep], target, clock);
    expect(timers.map((timer) => timer.atMs)).toEqual([3_000]);
    plan.reached(499);
    expect(struck).toEqual([]);
    plan.reached(503);
    plan.reached(504);
    timers[0]!.fire();
    expect(struck).toEqual(["crash kasmina", "kill tamiyo"]);
  });

  it("strikes nothing after it was cancelled", () => {
    const { clock, timers } = manualClock();
    const never = () => expect.unreachable();
    const plan = new FaultPlan([byTime, byStep], { kill: never, crash: never }, clock);
    plan.cancel();
    plan.reached(1_000);
    expect(timers[0]!.cancelled).toBe(true);
  });
});

describe("missed decisions", () => {
  const files = (text: string) =>
    ({ read: async () => new TextEncoder().encode(text) }) as unknown as Files;

  it("are read back from the metrics, a torn last line left out", async () => {
    const text =
      '{"kind":"step","step":16}\n{"kind":"decision_miss","step":32}\n{"kind":"decision_mi';
    expect(await readMisses(files(text), "metrics.jsonl")).toEqual([32]);
  });
});

describe("predictions", () => {
  it("repeat the row and add the class with its probabilities", () => {
    const target = { kind: "classes", name: "kind", classes: ["a,b", "c"] } as const;
    const raw = { header: ["x"], rows: [['say "hi"'], ["2"]] };
    const values = Float32Array.from([0.75, 0.25, 0.125, 0.875]);
    expect(formatPredictions(target, values, raw, 2)).toBe(
      'x,predicted_kind,"probability_a,b",probability_c\n' +
        '"say ""hi""","a,b",0.750000,0.250000\n' +
        "2,c,0.125000,0.875000\n",
    );
  });

  it("give a number back in the target's own unit", () => {
    const target = { kind: "number", name: "price", mean: 100, scale: 20 } as const;
    expect(formatPredictions(target, Float32Array.from([0.5, -1]), null, 2)).toBe(
      "row,predicted_price\n1,110\n2,80\n",
    );
  });
});

describe("the signing secret", () => {
  it("is the user's when there is one, and long enough", () => {
    const value = "a-secret-of-enough-bytes";
    expect(chooseSecret(value, true)).toEqual({ value, generated: false });
    expect(() => chooseSecret("short", true)).toThrow(
      expect.objectContaining({ code: "SECRET_MISSING" }),
    );
  });

  it("is made for the run only where that is allowed", () => {
    const made = chooseSecret(null, true);
    expect(made.generated).toBe(true);
    expect(made.value).not.toBe(chooseSecret(null, true).value);
    expect(() => chooseSecret(null, false)).toThrow(
      expect.objectContaining({ code: "SECRET_MISSING" }),
    );
  });
});
