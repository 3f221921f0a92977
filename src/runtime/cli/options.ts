/**
 * Every flag of the command line, once: its name, unit, default and parser. Commands pick from
 * these, so that a flag means the same everywhere.
 */
import { type Command, Option } from "commander";
import { BUILTIN_DATASETS, type BuiltinDataset } from "../../protocols/dataset.ts";
import {
  type FaultRequest,
  GROWTH_ARMS,
  type GrowthArm,
  type HostRequest,
} from "../../protocols/run.ts";
import { FAULTS } from "../faults/fault.ts";
import {
  collectFault,
  collectInjection,
  collectPath,
  parseChoice,
  parseHost,
  parseInteger,
  parseName,
  parseNumber,
  parsePath,
  parseText,
} from "./parse.ts";

/** Flags that may stand before any subcommand and mean the same there. */
export interface GlobalValues {
  readonly topology: string | null;
  readonly config: string | null;
  readonly runs: string | null;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
}

/** All flags of `train`; null is "not given". */
export interface TrainValues extends GlobalValues {
  readonly dataset: BuiltinDataset;
  readonly data: readonly string[];
  readonly target: string | null;
  readonly labels: string | null;
  readonly validationShare: number;
  readonly seed: number;
  readonly epochs: number | null;
  readonly batchSize: number | null;
  readonly host: HostRequest | null;
  readonly optimizer: "adam" | "sgd" | null;
  readonly learningRate: number | null;
  readonly weightDecay: number | null;
  readonly targetScore: number | null;
  readonly growth: boolean;
  readonly arm: GrowthArm;
  readonly fault: readonly FaultRequest[];
  /** Each checked already; see src/runtime/faults/parse-fault.ts. */
  readonly inject: readonly string[];
  readonly allowFaults: boolean;
  readonly resume: string | null;
  readonly salvage: boolean;
  readonly allowSoftwareGpu: boolean;
  readonly dryRun: boolean;
}

type Parser = (given: string, before: never) => unknown;

/** An option with its default; `shown` says in words what a null default stands for. */
function option(
  flags: string,
  help: string,
  initial: unknown,
  shown?: string,
  parse?: Parser,
): Option {
  const made = new Option(flags, help).default(initial, shown);
  if (parse !== undefined) made.argParser(parse as (given: string, before: unknown) => unknown);
  return made;
}

/** Shown where the default depends on the data set. */
const BY_DATA = "chosen for the data";

/** The flags every command understands. */
export function globalOptions(): Option[] {
  return [
    option(
      "--topology <name>",
      "actors, threads and engine",
      null,
      "the configuration's",
      parseName("--topology"),
    ),
    option(
      "--config <file>",
      "configuration file, .ts or .js",
      null,
      "the built-in one",
      parsePath("--config"),
    ),
    option("--runs <dir>", "folder of the runs", null, "the configuration's", parsePath("--runs")),
    option("--json", "JSON lines on stdout, talk on stderr", false, "off"),
    option("--quiet", "only the result", false, "off"),
    option("--verbose", "log everything; show stacks of errors", false, "off"),
  ];
}

/** What the network learns from, and the seed of every random choice. */
function dataOptions(): Option[] {
  return [
    option(
      "--dataset <name>",
      `built-in data: ${BUILTIN_DATASETS.join(", ")}`,
      "spirals",
      undefined,
      parseChoice("--dataset", BUILTIN_DATASETS),
    ),
    option(
      "--data <file...>",
      "your data: .csv, IDX images, CIFAR-10 .bin files",
      [],
      "none",
      collectPath("--data"),
    ),
    option("--target <column>", "CSV column to predict", null, "none", parseText("--target")),
    option(
      "--labels <file>",
      "IDX labels of the images in --data",
      null,
      "none",
      parsePath("--labels"),
    ),
    option(
      "--validation-share <share>",
      "share of --data kept for validation, 0.01 to 0.9",
      0.2,
      undefined,
      parseNumber("--validation-share", 0.01, 0.9),
    ),
    option(
      "--seed <n>",
      "seed of every random choice",
      42,
      undefined,
      parseInteger("--seed", 0, Number.MAX_SAFE_INTEGER),
    ),
  ];
}

/** How the network is trained and grown. */
function trainingOptions(): Option[] {
  return [
    option(
      "--epochs <n>",
      "passes over the data, at most",
      null,
      BY_DATA,
      parseInteger("--epochs", 1, 1_000_000),
    ),
    option(
      "--batch-size <n>",
      "rows per step",
      null,
      BY_DATA,
      parseInteger("--batch-size", 1, 65_536),
    ),
    option(
      "--host <spec>",
      "network to start from, e.g. mlp:16,16 or cnn:8,16",
      null,
      BY_DATA,
      parseHost,
    ),
    option(
      "--optimizer <name>",
      "adam or sgd",
      null,
      BY_DATA,
      parseChoice("--optimizer", ["adam", "sgd"]),
    ),
    option(
      "--learning-rate <rate>",
      "step size, 1e-7 to 10",
      null,
      BY_DATA,
      parseNumber("--learning-rate", 1e-7, 10),
    ),
    option(
      "--weight-decay <rate>",
      "shrinks weights each step, 0 to 1",
      null,
      BY_DATA,
      parseNumber("--weight-decay", 0, 1),
    ),
    option(
      "--target-score <score>",
      "end when validation accuracy or R2 reaches this, 0 to 1",
      null,
      "train all epochs",
      parseNumber("--target-score", 0, 1),
    ),
    option("--no-growth", "train the starting network only (default: it grows)", true),
    option(
      "--arm <name>",
      `how seeds are chosen, for comparisons: ${GROWTH_ARMS.join(", ")}`,
      "policy",
      undefined,
      parseChoice("--arm", GROWTH_ARMS),
    ),
  ];
}

/** Faults, resuming, and looking without starting. */
function runOptions(): Option[] {
  return [
    option(
      "--fault <spec>",
      "inject a fault, repeatable: kill:tamiyo@3s, crash:kasmina@500ms, kill:tolaria@step:500",
      [],
      "none",
      collectFault,
    ),
    option(
      "--inject <spec>",
      "like --fault, by message, repeatable, needs --allow-faults: " +
        `slow:kasmina.apply=50ms@every=10; kinds: ${Object.keys(FAULTS).join(", ")}`,
      [],
      "none",
      collectInjection,
    ),
    option("--allow-faults", "let faults be injected into this run", false, "off"),
    option(
      "--resume <run>",
      "continue a run: its id, a path, or latest",
      null,
      "a new run",
      parseName("--resume"),
    ),
    option("--salvage", "with --resume: keep the readable part of a damaged log", false, "off"),
    option(
      "--allow-software-gpu",
      "accept a WebGPU adapter that computes on the CPU, for tests",
      false,
      "off",
    ),
    option("--dry-run", "show actors, threads and limits; start nothing", false, "off"),
  ];
}

/** The flags of `train`, which is also what runs without a command. */
export function trainOptions(): Option[] {
  return [...globalOptions(), ...dataOptions(), ...trainingOptions(), ...runOptions()];
}

/** The data flags of `evaluate` and `predict`. */
export function inputOptions(): Option[] {
  return [
    option(
      "--data <file...>",
      "data of the kind the run was trained on",
      [],
      "required",
      collectPath("--data"),
    ),
    option(
      "--labels <file>",
      "IDX labels of the images in --data",
      null,
      "none",
      parsePath("--labels"),
    ),
  ];
}

/** How often `inspect` looks, in seconds; without a number every second. */
export function watchOption(): Option {
  const parse = parseNumber("--watch", 0.1, 10);
  return option(
    "--watch [seconds]",
    "look again and again until stopped",
    null,
    "one look",
    parse,
  ).preset("1");
}

/** Which records `wal inspect` shows. */
export function recordOptions(): Option[] {
  const highest = Number.MAX_SAFE_INTEGER;
  return [
    option("--records", "show the records, one by one", false, "off"),
    option(
      "--from <n>",
      "with --records: the first record's number in each log",
      null,
      "1",
      parseInteger("--from", 1, highest),
    ),
    option(
      "--limit <n>",
      "with --records: records of each log, at most",
      null,
      "100",
      parseInteger("--limit", 1, highest),
    ),
  ];
}

/** Whether `wal restore` mends a run from its own good records. */
export function repairOption(): Option {
  return option("--repair", "go back to the last good record, without a backup", false, "off");
}

/** How long `wal soak` works, and where. */
export function soakOptions(): Option[] {
  return [
    option("--seconds <n>", "how long", 10, undefined, parseNumber("--seconds", 0.1, 86_400)),
    option(
      "--kills <n>",
      "end after so many kills, if that comes first",
      null,
      "as many as fit",
      parseInteger("--kills", 1, 1_000_000),
    ),
    option(
      "--seed <n>",
      "seed of every random choice",
      42,
      undefined,
      parseInteger("--seed", 0, Number.MAX_SAFE_INTEGER),
    ),
    option(
      "--directory <dir>",
      "an empty folder for the log, which is kept",
      null,
      "a temporary one",
      parsePath("--directory"),
    ),
  ];
}

/** Where a command writes its file. */
export function outOption(help: string, shown: string): Option {
  return option("--out <file>", help, null, shown, parsePath("--out"));
}

/** Flag values of a command and which of them the user wrote. */
export interface Given<Values> {
  readonly values: Values;
  /** Option keys, e.g. "batchSize", that stood on the command line. */
  readonly explicit: ReadonlySet<string>;
}

/** Hands a command the flags written before it; one written twice counts where it stands last. */
export function collectGiven<Values extends object>(command: Command): Given<Values> {
  const known = new Set(command.options.map((option) => option.attributeName()));
  for (let above = command.parent; above !== null; above = above.parent) {
    for (const key of writtenOptions(above)) {
      if (!known.has(key) || command.getOptionValueSource(key) === "cli") continue;
      command.setOptionValueWithSource(key, above.getOptionValue(key), "cli");
    }
  }
  return { values: command.opts<Values>(), explicit: new Set(writtenOptions(command)) };
}

/** Keys of the options that stood on the command line. */
export function writtenOptions(command: Command): string[] {
  return command.options
    .map((option) => option.attributeName())
    .filter((key) => command.getOptionValueSource(key) === "cli");
}
