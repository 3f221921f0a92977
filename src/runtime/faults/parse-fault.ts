/**
 * The text form of a fault: `<kind>:<actor>[.<message>][=<value>][@<condition>,...]`, for example
 * `kill:tamiyo@n=700`, `slow:kasmina.apply=50ms@every=10`, `drop:nissa.ingest@p=0.1,seed=3`.
 * What is not understood is refused with what is allowed; nothing is guessed. Pure.
 */
import { EsperError } from "../../protocols/errors.ts";
import { didYouMean } from "../cli/suggest.ts";
import { FAULTS, type Fault, type FaultKind, type FaultTiming, type FaultValue } from "./fault.ts";

/** Longer texts are no faults. */
const MAX_TEXT = 256;
const MAX_COUNT = 1_000_000_000;
const MAX_TIME_MS = 3_600_000;
const MAX_CODE = 255;
const MAX_COPIES = 100_000;

const FORM = "<kind>:<actor>[.<message>][=<value>][@<condition>,...]";
const TARGET = /^(\*|#?[A-Za-z][A-Za-z0-9_-]{0,63})(?:\.([A-Za-z][A-Za-z0-9_]{0,63}))?$/;
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000 };
const KINDS = Object.keys(FAULTS) as FaultKind[];

const TIME_RULE = "a time from 1ms to 60m, as 50ms, 2s or 1m";
const VALUE_RULES: Readonly<Record<FaultValue, string>> = {
  none: "no value",
  time: TIME_RULE,
  code: `an exit code from 0 to ${MAX_CODE}`,
  copies: `a number of copies from 1 to ${MAX_COPIES}`,
};

type Conditions = { -readonly [K in keyof FaultTiming]: FaultTiming[K] };

interface Condition {
  readonly field: keyof FaultTiming;
  readonly rule: string;
  /** Null when the value is not allowed. */
  readonly read: (given: string) => number | null;
}

const COUNT_RULE = `a whole number from 1 to ${MAX_COUNT}`;
const count = (given: string): number | null => whole(given, 1, MAX_COUNT);

const CONDITIONS: Readonly<Record<string, Condition>> = {
  n: { field: "nth", rule: COUNT_RULE, read: count },
  every: { field: "every", rule: COUNT_RULE, read: count },
  times: { field: "times", rule: COUNT_RULE, read: count },
  p: { field: "probability", rule: "a number above 0, at most 1", read: probability },
  seed: {
    field: "seed",
    rule: `a whole number from 0 to ${MAX_COUNT}`,
    read: (given) => whole(given, 0, MAX_COUNT),
  },
  after: { field: "afterMs", rule: TIME_RULE, read: time },
  until: { field: "untilMs", rule: TIME_RULE, read: time },
};

/** @throws {CONFIG_INVALID} naming what was given and what is allowed. */
export function parseFault(text: string): Fault {
  const shape = /^([^:]+):([^=@]+)(?:=([^@]*))?(?:@(.*))?$/.exec(text);
  if (shape === null || text.length > MAX_TEXT) throw refuse(text, "the whole", text, FORM);
  const [, word = "", target = "", value, conditions] = shape;
  const kind = KINDS.find((known) => known === word);
  if (kind === undefined) {
    throw refuse(text, "the kind", word, KINDS.join(", "), didYouMean(word, KINDS));
  }
  const names = TARGET.exec(target);
  if (names === null) {
    const rule = "an actor's name, #protocol for spawned actors or * for all, then .message or not";
    throw refuse(text, "the actor", target, rule);
  }
  const [, actor = "", message] = names;
  const timing = parseConditions(text, conditions);
  const bounded = timing.nth !== null || timing.every !== null || timing.probability !== null;
  const times = timing.times ?? (FAULTS[kind].once && !bounded ? 1 : null);
  return {
    ...timing,
    ...{ kind, actor, message: message ?? null, value: parseValue(text, kind, value) },
    times: timing.nth === null ? times : 1,
    text,
  };
}

function parseValue(text: string, kind: FaultKind, given: string | undefined): number | null {
  const { value, needsValue } = FAULTS[kind];
  const rule = VALUE_RULES[value];
  if (given === undefined) {
    if (!needsValue) return null;
    throw refuse(text, `the value of ${kind}`, "", `${rule}, as ${kind}:actor=50ms`);
  }
  const read = readValue(value, given);
  if (read === null) throw refuse(text, `the value of ${kind}`, given, rule);
  return read;
}

function readValue(value: FaultValue, given: string): number | null {
  if (value === "time") return time(given);
  if (value === "code") return whole(given, 0, MAX_CODE);
  return value === "copies" ? whole(given, 1, MAX_COPIES) : null;
}

function parseConditions(text: string, given: string | undefined): FaultTiming {
  const found: Conditions = {
    ...{ nth: null, every: null, probability: null, seed: null, times: null },
    ...{ afterMs: 0, untilMs: null },
  };
  const seen = new Set<string>();
  for (const part of given === undefined ? [] : given.split(",")) {
    const [key = "", value = "", ...rest] = part.split("=");
    const condition = Object.hasOwn(CONDITIONS, key) ? CONDITIONS[key] : undefined;
    if (condition === undefined) {
      const keys = Object.keys(CONDITIONS);
      throw refuse(text, "the condition", part, `${keys.join("=, ")}=`, didYouMean(key, keys));
    }
    const read = rest.length === 0 ? condition.read(value) : null;
    if (read === null) throw refuse(text, key, value, condition.rule);
    if (seen.has(key)) throw refuse(text, key, value, "each condition once");
    seen.add(key);
    Object.assign(found, { [condition.field]: read });
  }
  refuseContradictions(text, found);
  return found;
}

function refuseContradictions(text: string, timing: FaultTiming): void {
  const { nth, every, times, seed, probability, afterMs, untilMs } = timing;
  if (nth !== null && (every ?? times ?? probability) !== null) {
    throw refuse(text, "n", `${nth}`, "n without every, times and p: it names one message");
  }
  if (seed !== null && probability === null) throw refuse(text, "seed", `${seed}`, "seed with p");
  if (untilMs !== null && untilMs <= afterMs) {
    throw refuse(text, "until", `${untilMs}ms`, `later than after, ${afterMs}ms`);
  }
}

function whole(given: string, least: number, most: number): number | null {
  const value = Number(given);
  return /^\d{1,10}$/.test(given) && value >= least && value <= most ? value : null;
}

function probability(given: string): number | null {
  const value = Number(given);
  return /^(\d+\.?\d*|\.\d+)$/.test(given) && value > 0 && value <= 1 ? value : null;
}

function time(given: string): number | null {
  const match = /^(\d{1,7})(ms|s|m)$/.exec(given);
  if (match === null) return null;
  const value = Number(match[1]) * (UNITS[match[2] ?? ""] ?? Number.NaN);
  return value >= 1 && value <= MAX_TIME_MS ? value : null;
}

function refuse(text: string, path: string, value: string, allowed: string, hint = ""): EsperError {
  const given = JSON.stringify(value.slice(0, MAX_TEXT));
  const shown = JSON.stringify(text.slice(0, MAX_TEXT));
  const message = `the fault ${shown}: ${path} is ${given}; allowed: ${allowed}${hint}`;
  return new EsperError("CONFIG_INVALID", message, { path, value: given, allowed });
}
