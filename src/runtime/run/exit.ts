/**
 * What the process tells its caller when it ends. The table is printed by `--help`; every error
 * code of the catalogue carries one of these numbers. Never ends the process itself.
 */
import { EsperError } from "../../protocols/errors.ts";

/** The exit codes of the product. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  dependency: 3,
  promiseBroken: 4,
  emergency: 5,
  fabricLost: 6,
  interrupted: 130,
  terminated: 143,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** One line per exit code, in the words of the help text. */
export const EXIT_TABLE: readonly (readonly [code: ExitCode, meaning: string])[] = [
  [EXIT.done, "done"],
  [EXIT.failed, "the run failed, or a defect of the product"],
  [EXIT.usage, "the command line, the configuration or the data is not usable"],
  [EXIT.dependency, "something the run needs is missing, or the start checks failed"],
  [EXIT.promiseBroken, "damage was found, a promise was broken or a promised figure not reached"],
  [EXIT.emergency, "halted by an emergency of level 4"],
  [EXIT.fabricLost, "the message fabric was lost"],
  [EXIT.interrupted, "stopped by SIGINT (Ctrl-C); a checkpoint was written if training had begun"],
  [EXIT.terminated, "stopped by SIGTERM; a checkpoint was written if training had begun"],
];

/** Signals that ask a run to stop. */
export type StopSignal = "SIGINT" | "SIGTERM";

/** 128 plus the signal's number, as shells report it. */
export function exitCodeOfSignal(signal: StopSignal): ExitCode {
  return signal === "SIGINT" ? EXIT.interrupted : EXIT.terminated;
}

/** The exit code an error asks for; anything without a code of the catalogue is a defect. */
export function exitCodeOfError(error: unknown): ExitCode {
  return EsperError.is(error) ? error.row.exitCode : EXIT.failed;
}
