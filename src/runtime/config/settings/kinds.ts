/**
 * How one setting is declared: its name, default, what is allowed, and one line of help. A setting
 * is data; `settings.ts` reads it from the environment and never coerces silently.
 */

/** The value of any setting; null means "not set". */
export type SettingValue = string | number | boolean | null;

/** One environment variable of the product. */
export interface Setting<Name extends string = string, Value extends SettingValue = SettingValue> {
  readonly name: Name;
  readonly type: "text" | "choice" | "boolean" | "integer" | "number";
  readonly default: Value;
  /** What a person may write, in words. */
  readonly allowed: string;
  readonly help: string;
  readonly secret: boolean;
  /** The listed words of a choice; empty for every other type. */
  readonly choices: readonly string[];
  /** The value, or undefined when `raw` is not allowed. */
  parse(raw: string): Value | undefined;
}

/** Lowest and highest allowed number. */
type Range = readonly [minimum: number, maximum: number];

type Optional<Given, Value> = Given extends null ? Value | null : Value;

/** Free text, not empty. `pattern` narrows it; `allowed` then says how. */
export function text<const Name extends string, Given extends string | null>(
  name: Name,
  initial: Given,
  help: string,
  rules: { pattern?: RegExp; allowed?: string; secret?: boolean } = {},
): Setting<Name, Optional<Given, string>> {
  return {
    name,
    type: "text",
    default: initial as Optional<Given, string>,
    allowed: rules.allowed ?? "text, not empty",
    help,
    secret: rules.secret ?? false,
    choices: [],
    parse: (raw) =>
      raw.trim() !== "" && (rules.pattern?.test(raw) ?? true)
        ? (raw as Optional<Given, string>)
        : undefined,
  };
}

/** One of the listed words, upper or lower case. */
export function choice<
  const Name extends string,
  const Word extends string,
  Given extends NoInfer<Word> | null,
>(
  name: Name,
  words: readonly Word[],
  initial: Given,
  help: string,
): Setting<Name, Optional<Given, Word>> {
  return {
    name,
    type: "choice",
    default: initial as Optional<Given, Word>,
    allowed: words.join(", "),
    help,
    secret: false,
    choices: words,
    parse: (raw) =>
      words.find((word) => word.toLowerCase() === raw.toLowerCase()) as
        | Optional<Given, Word>
        | undefined,
  };
}

const BOOLEANS: Readonly<Record<string, boolean>> = {
  true: true,
  false: false,
  "1": true,
  "0": false,
  yes: true,
  no: false,
  on: true,
  off: false,
};

/** On or off. */
export function flag<const Name extends string, Given extends boolean | null>(
  name: Name,
  initial: Given,
  help: string,
): Setting<Name, Optional<Given, boolean>> {
  return {
    name,
    type: "boolean",
    default: initial as Optional<Given, boolean>,
    allowed: "true or false (also 1/0, yes/no, on/off)",
    help,
    secret: false,
    choices: [],
    parse: (raw) =>
      Object.hasOwn(BOOLEANS, raw.toLowerCase())
        ? (BOOLEANS[raw.toLowerCase()] as Optional<Given, boolean>)
        : undefined,
  };
}

function numeric<Name extends string, Given extends number | null>(
  type: "integer" | "number",
  name: Name,
  initial: Given,
  range: Range,
  help: string,
): Setting<Name, Optional<Given, number>> {
  const what = type === "integer" ? "a whole number" : "a number";
  const pattern = type === "integer" ? /^[+-]?\d+$/ : /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
  return {
    name,
    type,
    default: initial as Optional<Given, number>,
    allowed: `${what} from ${range[0]} to ${range[1]}`,
    help,
    secret: false,
    choices: [],
    parse(raw) {
      const value = Number(raw);
      const fits = pattern.test(raw) && value >= range[0] && value <= range[1];
      return fits ? (value as Optional<Given, number>) : undefined;
    },
  };
}

/** A whole number within `range`; the unit is the last part of the name. */
export function integer<const Name extends string, Given extends number | null>(
  name: Name,
  initial: Given,
  range: Range,
  help: string,
): Setting<Name, Optional<Given, number>> {
  return numeric("integer", name, initial, range, help);
}

/** A number within `range`; the unit is the last part of the name. */
export function number<const Name extends string, Given extends number | null>(
  name: Name,
  initial: Given,
  range: Range,
  help: string,
): Setting<Name, Optional<Given, number>> {
  return numeric("number", name, initial, range, help);
}
