/**
 * Parsers of single flag values. Each takes what was typed and returns a value, or refuses it with
 * USAGE, naming the flag, what was given and what is allowed. Pure.
 */
import { resolve } from "node:path";
import { EsperError } from "../../protocols/errors.ts";
import type { FaultRequest, HostRequest } from "../../protocols/run.ts";
import { parseFault as parseInjection } from "../faults/parse-fault.ts";
import { didYouMean } from "./suggest.ts";

/** Most faults one command may inject. */
const MAX_FAULTS = 64;
const MAX_LAYERS = 8;
const MAX_WIDTH = 4_096;

/** A refusal of one flag. */
export function refuse(flag: string, given: string, allowed: string, hint = ""): EsperError {
  return new EsperError(
    "USAGE",
    `${flag}: given ${JSON.stringify(given)}; allowed: ${allowed}${hint}`,
    { flag, given, allowed },
  );
}

/** A whole number from `minimum` to `maximum`. */
export function parseInteger(flag: string, minimum: number, maximum: number) {
  return (given: string): number => {
    const value = Number(given);
    if (/^[+-]?\d+$/.test(given) && value >= minimum && value <= maximum) return value;
    throw refuse(flag, given, `a whole number from ${minimum} to ${maximum}`);
  };
}

/** A number from `minimum` to `maximum`; plain or with an exponent, never `Infinity` or hex. */
export function parseNumber(flag: string, minimum: number, maximum: number) {
  return (given: string): number => {
    const value = Number(given);
    const plain = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(given);
    if (plain && value >= minimum && value <= maximum) return value;
    throw refuse(flag, given, `a number from ${minimum} to ${maximum}`);
  };
}

/** One of the listed words. */
export function parseChoice<const Word extends string>(flag: string, words: readonly Word[]) {
  return (given: string): Word => {
    const found = words.find((word) => word === given);
    if (found !== undefined) return found;
    throw refuse(flag, given, words.join(", "), didYouMean(given, words));
  };
}

/** A flag that was given no value takes the next flag for it: `--resume --json`. */
function refuseFlag(flag: string, given: string, allowed: string): void {
  if (/^--[a-z]/.test(given)) {
    throw refuse(flag, given, allowed, `; ${flag} needs a value before the next flag`);
  }
}

/** A file or folder name, made absolute so that it holds wherever the run is continued. */
export function parsePath(flag: string) {
  return (given: string): string => {
    refuseFlag(flag, given, "the name of a file or folder (one that begins with -- as ./--name)");
    if (given.trim() !== "" && !given.includes("\0")) return resolve(given);
    throw refuse(flag, given, "the name of a file or folder");
  };
}

/** Text that is not empty, such as a column's name. */
export function parseText(flag: string) {
  return (given: string): string => {
    if (given !== "") return given;
    throw refuse(flag, given, "text, not empty");
  };
}

/** The name of something of ours, such as a run; never a flag. */
export function parseName(flag: string) {
  const parse = parseText(flag);
  return (given: string): string => {
    refuseFlag(flag, given, "a name");
    return parse(given);
  };
}

/** `mlp:16,16` or `cnn:8,16`: the kind of network and the width of each hidden layer. */
export function parseHost(given: string): HostRequest {
  const rule =
    `mlp:<widths> or cnn:<widths>, e.g. mlp:16,16; ` +
    `1 to ${MAX_LAYERS} widths, each from 1 to ${MAX_WIDTH}`;
  const [kind = "", list = "", ...rest] = given.split(":");
  if (kind !== "mlp" && kind !== "cnn") {
    throw refuse("--host", given, rule, didYouMean(kind, ["mlp", "cnn"]));
  }
  const parts = list.split(",");
  const widths = parts.map(Number);
  const fits = parts.every((part) => /^\d{1,4}$/.test(part) && Number(part) >= 1);
  const small = widths.every((width) => width <= MAX_WIDTH) && widths.length <= MAX_LAYERS;
  if (rest.length > 0 || !fits || !small) throw refuse("--host", given, rule);
  return { kind, widths };
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000 };

/** `kill:tamiyo@3s`, `crash:kasmina@500ms`, `kill:tolaria@step:500`. */
export function parseFault(given: string): FaultRequest {
  const rule = "<kill|crash>:<actor>@<time ms|s|m> or <kill|crash>:<actor>@step:<n>";
  const match = /^([a-z]+):([a-z][a-z0-9-]*)@(?:step:(\d{1,9})|(\d{1,9})(ms|s|m))$/.exec(given);
  if (match === null) throw refuse("--fault", given, `${rule}, e.g. kill:tamiyo@3s`);
  const [, kind = "", actor = "", step, amount, unit = "ms"] = match;
  if (kind !== "kill" && kind !== "crash") {
    throw refuse("--fault", given, rule, didYouMean(kind, ["kill", "crash"]));
  }
  if (step !== undefined) return { kind, actor, at: { step: Number(step) } };
  return { kind, actor, at: { afterMs: Number(amount) * (UNITS[unit] ?? 1) } };
}

/** Adds one fault to those before it. */
export function collectFault(given: string, before: readonly FaultRequest[]): FaultRequest[] {
  if (before.length >= MAX_FAULTS) {
    throw new EsperError("USAGE", `--fault: allowed: at most ${MAX_FAULTS} times`, {
      flag: "--fault",
      maximum: MAX_FAULTS,
    });
  }
  return [...before, parseFault(given)];
}

/** Adds one fault in the runtime's own form to those before it. @throws {CONFIG_INVALID} */
export function collectInjection(given: string, before: readonly string[]): string[] {
  if (before.length >= MAX_FAULTS) {
    const details = { flag: "--inject", maximum: MAX_FAULTS };
    throw new EsperError("USAGE", `--inject: allowed: at most ${MAX_FAULTS} times`, details);
  }
  return [...before, parseInjection(given).text];
}

/** Adds one file to those before it. */
export function collectPath(flag: string) {
  const parse = parsePath(flag);
  return (given: string, before: readonly string[]): string[] => [...before, parse(given)];
}
