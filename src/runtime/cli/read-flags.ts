/** Reads the flags of a command that does not train, whichever command they were written after. */
import type { Command } from "commander";
import { EsperError } from "../../protocols/errors.ts";
import { collectGiven, globalOptions, writtenOptions } from "./options.ts";

/** What the program is called. */
export const NAME = "esper";

/**
 * The flags of a command that does not train.
 * @throws {USAGE} when a flag of `train` was written before it.
 */
export function readFlags<Values extends object>(command: Command): Values {
  const { values } = collectGiven<Values>(command);
  const global = new Set(globalOptions().map((option) => option.attributeName()));
  // The root also has the flags of train, so it takes them before it knows the command.
  for (let above = command.parent; above !== null; above = above.parent) {
    const foreign = above.options.find(
      (option) =>
        writtenOptions(above).includes(option.attributeName()) &&
        !global.has(option.attributeName()),
    );
    if (foreign === undefined) continue;
    const own = command.options.some((option) => option.long === foreign.long);
    throw new EsperError(
      "USAGE",
      own
        ? `${foreign.long} must stand after ${command.name()}`
        : `${foreign.long} does not apply to ${command.name()}. ` +
            `See \`${NAME} ${command.name()} --help\`.`,
      { flag: foreign.long, command: command.name() },
    );
  }
  return values;
}
