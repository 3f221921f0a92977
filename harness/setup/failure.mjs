/** What can go wrong in the set-up, as one message for a person, and where it is told: stderr. */
import process from "node:process";

export const EXIT_BUILD = 1;
export const EXIT_DEPENDENCY = 3;

/** A failure with one actionable message, the output of the tool that failed and an exit code. */
export class SetupFailure extends Error {
  constructor(exitCode, message, output = "") {
    super(message);
    this.name = "SetupFailure";
    this.exitCode = exitCode;
    this.output = output;
  }
}

/** The set-up was asked to stop; `signal` is the reason. */
export class SetupInterrupted extends Error {
  constructor(signal) {
    super(`interrupted by ${signal}`);
    this.name = "SetupInterrupted";
    this.exitCode = signal === "SIGINT" ? 130 : 143;
  }
}

/** One line on stderr; stdout belongs to the program that runs afterwards. */
export function tell(line) {
  process.stderr.write(`setup: ${line}\n`);
}

/** Tells a failure, the tool's own words first. Rethrows what is a bug of the set-up itself. */
export function tellFailure(error) {
  if (error instanceof SetupInterrupted) {
    tell(error.message);
  } else if (error instanceof SetupFailure) {
    if (error.output.trim() !== "") process.stderr.write(`${error.output.trimEnd()}\n`);
    tell(error.message);
  } else {
    throw error;
  }
  return error.exitCode;
}
