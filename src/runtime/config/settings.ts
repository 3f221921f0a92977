/**
 * Every environment setting of the product as one typed table, and the reader that checks them.
 * A value that does not fit or a name that is nearly right is refused; nothing is coerced silently.
 * `usedBy` says which part reads a setting now; null: accepted and checked, but read by no part.
 */
import { EsperError } from "../../protocols/errors.ts";
import { requireSecret } from "../../protocols/leyline/signing.ts";
import { didYouMean, nearest } from "../cli/suggest.ts";
import type { Environment } from "./environment.ts";
import { maskUrlPassword } from "./mask.ts";
import type { Setting, SettingValue } from "./settings/kinds.ts";
import { FABRIC_SETTINGS, SHARED_SETTINGS } from "./settings/shared.ts";
import { TAMIYO_SETTINGS } from "./settings/tamiyo.ts";
import { TOLARIA_SETTINGS } from "./settings/tolaria.ts";
import { URABRASK_SETTINGS } from "./settings/urabrask.ts";

const TABLE = [
  ...SHARED_SETTINGS,
  ...TAMIYO_SETTINGS,
  ...TOLARIA_SETTINGS,
  ...FABRIC_SETTINGS,
  ...URABRASK_SETTINGS,
] as const;

type Row = (typeof TABLE)[number];

/** The name of any known setting. */
export type SettingName = Row["name"];

/** The parsed value of every setting, typed by name. */
export type SettingValues = {
  readonly [Name in SettingName]: Extract<Row, { readonly name: Name }>["default"];
};

/** Every setting in the order in which people are shown them. */
export const SETTINGS: readonly Setting<SettingName>[] = TABLE;

/** The part of the product that reads a setting; every other setting is only checked. */
const USED_BY: Partial<Record<SettingName, string>> = {
  ESPER_LEYLINE_SECRET: "command signing",
  ESP_LOG_LEVEL: "log",
  KERNEL_FRESHNESS_WINDOW_MS: "nonce ledger",
  KERNEL_NONCE_CACHE_SIZE: "nonce ledger",
  ASYNC_WORKER_SHUTDOWN_TIMEOUT_S: "actor system",
  TAMIYO_WAL_STRICT_VALIDATION: "Tamiyo's log",
  TAMIYO_FIELD_REPORT_RETENTION_HOURS: "Tamiyo's log",
  TAMIYO_CONSERVATIVE_MODE: "Tamiyo (controller)",
  TAMIYO_STEP_TIMEOUT_MS: "Tamiyo (controller)",
  TAMIYO_BLEND_MODE_DEFAULT: "Tamiyo (controller)",
  TOLARIA_LR_POLICY: "Tolaria (trainer)",
  TOLARIA_LR_WARMUP_STEPS: "Tolaria (trainer)",
};

/** The subsystem that reads the setting now, or null. */
export function usedBy(name: SettingName): string | null {
  return USED_BY[name] ?? null;
}

export type SettingSource = "default" | "environment";

/** The settings of one process. */
export interface Settings {
  readonly values: SettingValues;
  readonly sources: Readonly<Record<SettingName, SettingSource>>;
}

/** Names that begin like this belong to the product, so an unknown one is a mistake. */
const OWN_PREFIXES = ["ESPER_", "TAMIYO_", "TOLARIA_", "KASMINA_", "OONA_", "URZA_", "URABRASK_"];
OWN_PREFIXES.push("TEZZERET_", "NISSA_");

/** Names other programs use too: refused only when they are nearly one of ours. */
const SHARED_PREFIXES = ["KERNEL_", "ASYNC_WORKER_"];

/**
 * Reads and checks all settings.
 * @throws {CONFIG_INVALID} when a value is not allowed, naming variable, value and what is allowed.
 * @throws {SECRET_MISSING} when the signing secret is set but too short.
 * @throws {CONFIG_UNKNOWN_KEY} when a name with a prefix of the product is not known.
 */
export function loadSettings(environment: Environment): Settings {
  const values: Record<string, SettingValue> = {};
  const sources: Record<string, SettingSource> = {};
  const invalid: string[] = [];
  for (const setting of SETTINGS) {
    const raw = environment[setting.name];
    const value = raw === undefined ? setting.default : setting.parse(raw);
    if (raw !== undefined && value === undefined) invalid.push(explainValue(setting, raw));
    values[setting.name] = value ?? null;
    sources[setting.name] = raw === undefined ? "default" : "environment";
  }
  const unknown = unknownNames(environment);
  if (invalid.length + unknown.length > 0) {
    throw new EsperError(
      invalid.length > 0 ? "CONFIG_INVALID" : "CONFIG_UNKNOWN_KEY",
      [...invalid, ...unknown].join("\n"),
      { source: "environment", problems: [...invalid, ...unknown] },
    );
  }
  const secret = values["ESPER_LEYLINE_SECRET"];
  if (typeof secret === "string") requireSecret(secret);
  return Object.freeze({
    values: Object.freeze(values as SettingValues),
    sources: Object.freeze(sources as Record<SettingName, SettingSource>),
  });
}

function explainValue(setting: Setting, raw: string): string {
  const given = setting.secret ? `a value of ${raw.length} characters` : show(raw);
  const hint = setting.choices.length > 0 ? didYouMean(raw, setting.choices) : "";
  return `${setting.name}: given ${given}; allowed: ${setting.allowed}${hint || ". Or unset it."}`;
}

function show(raw: string): string {
  return JSON.stringify(maskUrlPassword(raw.length > 80 ? `${raw.slice(0, 80)}...` : raw));
}

function unknownNames(environment: Environment): string[] {
  const known = SETTINGS.map((setting) => setting.name);
  const names = Object.keys(environment).filter(
    (name) => environment[name] !== undefined && !known.includes(name as SettingName),
  );
  const own = (name: string) => OWN_PREFIXES.some((prefix) => name.startsWith(prefix));
  const nearOwn = (name: string) =>
    SHARED_PREFIXES.some((prefix) => name.startsWith(prefix)) && nearest(name, known) !== null;
  return names
    .filter((name) => own(name) || nearOwn(name))
    .sort()
    .map((name) => {
      const hint = didYouMean(name, known) || "; `config print` lists every setting. Unset it.";
      return `${name}: no such setting${hint}`;
    });
}
