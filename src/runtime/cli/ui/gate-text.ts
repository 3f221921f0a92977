/**
 * A gate's verdict as a sentence, made from its numbers alone: a comparison where the gate has
 * one, every other number by its name, and each limit (`needed_x`, `allowed_x`) beside its number.
 */
import type { GateResult } from "../../../protocols/actors/growth.ts";
import type { SeedGateName } from "../../../protocols/leyline/enums.ts";
import { formatNamed, toWords } from "./format.ts";

/** Two numbers that a gate sets against each other. */
const COMPARED: Partial<Record<SeedGateName, readonly [left: string, right: string]>> = {
  G2_STABILITY: ["shadow loss", "host loss"],
  G4_SYSTEM_IMPACT: ["validation loss", "baseline loss"],
};

const LIMIT = /^(needed|allowed|min|max) (.+)$/;

/** `G2_STABILITY` as `G2 stability`. */
export function gateName(gate: SeedGateName): string {
  const [number = gate, ...words] = gate.split("_");
  return [number, ...words.map((word) => word.toLowerCase())].join(" ");
}

/** e.g. `shadow loss 0.412 < host loss 0.603 (gain 31.7 %, needed 2 %)`; empty without numbers. */
export function gateNumbers(gate: Pick<GateResult, "gate" | "numbers">): string {
  const numbers = new Map(
    Object.entries(gate.numbers).map(([name, value]) => [toWords(name), value]),
  );
  const comparison = compare(numbers, COMPARED[gate.gate]);
  const rest = listNumbers(numbers);
  if (comparison === "") return rest;
  return rest === "" ? comparison : `${comparison} (${rest})`;
}

/** Takes the two numbers out of the map when both are there. */
function compare(
  numbers: Map<string, number>,
  names: readonly [string, string] | undefined,
): string {
  if (names === undefined) return "";
  const [left, right] = names;
  const a = numbers.get(left);
  const b = numbers.get(right);
  if (a === undefined || b === undefined) return "";
  numbers.delete(left);
  numbers.delete(right);
  return `${left} ${formatNamed(left, a)} ${sign(a, b)} ${right} ${formatNamed(right, b)}`;
}

function sign(a: number, b: number): string {
  if (a < b) return "<";
  if (a > b) return ">";
  return a === b ? "=" : "against";
}

function listNumbers(numbers: ReadonlyMap<string, number>): string {
  const limits = [...numbers.keys()].filter((name) => LIMIT.test(name));
  const measured = [...numbers.keys()].filter((name) => !LIMIT.test(name));
  const used = new Set<string>();
  const parts = measured.map((name) => {
    const text = `${name} ${formatNamed(name, numbers.get(name) ?? Number.NaN)}`;
    const limit = limits.find((candidate) => !used.has(candidate) && isLimitOf(candidate, name));
    if (limit === undefined) return text;
    used.add(limit);
    const [, kind = ""] = LIMIT.exec(limit) ?? [];
    return `${text}, ${kind} ${formatNamed(name, numbers.get(limit) ?? Number.NaN)}`;
  });
  // A limit whose number is missing still says what was asked for.
  const alone = limits.filter((name) => !used.has(name));
  const left = alone.map((name) => `${name} ${formatNamed(name, numbers.get(name) ?? Number.NaN)}`);
  return [...parts, ...left].join("; ");
}

function isLimitOf(limit: string, name: string): boolean {
  const about = LIMIT.exec(limit)?.[2];
  return about !== undefined && (name === about || name.endsWith(` ${about}`));
}

/** e.g. `gate G2 stability passed: shadow loss 0.412 < host loss 0.603`. */
export function gateVerdict(gate: GateResult): string {
  const verdict = gate.passed ? "passed" : `failed, ${gate.reason}`;
  const numbers = gateNumbers(gate);
  return `gate ${gateName(gate.gate)} ${verdict}${numbers === "" ? "" : `: ${numbers}`}`;
}
