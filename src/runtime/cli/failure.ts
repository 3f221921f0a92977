/**
 * How a failure is told: one block on stderr, with `--json` also one line on stdout, and the exit
 * code. Errors of the argument parser become USAGE with a suggestion of our own.
 */
import { type Command, CommanderError } from "commander";
import { dehydrate, EsperError } from "../../protocols/errors.ts";
import { EXIT, exitCodeOfError, exitCodeOfSignal } from "../run/exit.ts";
import type { CliDeps } from "./deps.ts";
import { didYouMean } from "./suggest.ts";

/** What people of other tools type for our flags. */
const SYNONYMS: Readonly<Record<string, string>> = {
  "--lr": "--learning-rate",
  "--wd": "--weight-decay",
  "--batch": "--batch-size",
  "--bs": "--batch-size",
  "--model": "--host",
  "--network": "--host",
  "--file": "--data",
  "--input": "--data",
  "--output": "--out",
  "--label": "--target",
  "--val-split": "--validation-share",
  "--validation-split": "--validation-share",
  "--continue": "--resume",
  "--dryrun": "--dry-run",
};

/** Tells the failure and returns the exit code it asks for. */
export function reportFailure(
  error: unknown,
  deps: Pick<CliDeps, "stdout" | "stderr" | "signals">,
  mode: { readonly json: boolean; readonly verbose: boolean },
): number {
  const signal = deps.signals.received();
  if (signal !== null && EsperError.is(error, "CANCELLED")) {
    deps.stderr.write(`stopped by ${signal} before training began\n`);
    return exitCodeOfSignal(signal);
  }
  const wire = dehydrate(error);
  const code = wire.code ?? "INTERNAL";
  const message = wire.code === null ? `${wire.name}: ${wire.message}` : wire.message;
  const note = wire.code === null ? "\nThis is a defect of the product." : "";
  const stack =
    wire.stack !== null && (mode.verbose || wire.code === null) ? `\n${wire.stack}` : "";
  deps.stderr.write(`error ${code}: ${message}${note}${stack}\n`);
  if (mode.json) {
    deps.stdout.write(
      `${JSON.stringify({ kind: "error", code, message, details: wire.details })}\n`,
    );
  }
  return exitCodeOfError(error);
}

/** True for "errors" by which the parser says that it has printed help or the version. */
export function isParserFarewell(error: unknown): boolean {
  return error instanceof CommanderError && error.exitCode === EXIT.done;
}

/** An error of the parser as USAGE; anything else as it is. `command` is where it arose. */
export function translateParserError(error: unknown, command: Command): unknown {
  if (!(error instanceof CommanderError)) return error;
  const said = error.message.replace(/^error: /, "").replace(/\.$/, "");
  const flag = /unknown option '([^']+)'/.exec(said)?.[1];
  if (flag !== undefined) return unknownFlag(flag, command);
  return new EsperError("USAGE", `${said}. See --help.`, { parser: error.code });
}

function unknownFlag(written: string, command: Command): EsperError {
  const flag = written.split("=")[0] ?? written;
  const known = flagsOf(command);
  const synonym = SYNONYMS[flag];
  const hint =
    synonym !== undefined && known.includes(synonym)
      ? `; did you mean ${synonym}?`
      : didYouMean(flag, known) || ". See --help.";
  return new EsperError("USAGE", `unknown flag ${flag}${hint}`, { given: flag });
}

function flagsOf(command: Command): string[] {
  const own = command.options.flatMap((option) => option.long ?? []);
  return ["--help", "--version", ...own];
}

/** The refusal of a word where a command was expected. */
export function unknownCommand(word: string, commands: readonly string[]): EsperError {
  const hint = didYouMean(word, commands) || `. There are: ${commands.join(", ")}`;
  return new EsperError("USAGE", `unknown command ${JSON.stringify(word)}${hint}`, {
    given: word,
    commands,
  });
}
