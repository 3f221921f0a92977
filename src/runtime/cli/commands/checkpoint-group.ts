/** The command `checkpoint` and those below it, with their flags. */
import { Command } from "commander";
import { EsperError } from "../../../protocols/errors.ts";
import type { CliDeps } from "../deps.ts";
import { unknownCommand } from "../failure.ts";
import { type GlobalValues, globalOptions } from "../options.ts";
import { readFlags } from "../read-flags.ts";
import { runCheckpointDiff, runCheckpointList, runCheckpointVerify } from "./checkpoint.ts";
import type { Ended } from "./wal-group.ts";

const WORDS = ["ls", "verify", "diff"];
const ONE = "a .ckpt file, a run (its newest), or <run>@<step>";

/** `checkpoint ls|verify|diff`. */
export function checkpointCommand(deps: CliDeps, ended: Ended): Command {
  const group = new Command("checkpoint").description("list, check and compare a run's states");
  for (const option of globalOptions()) group.addOption(option);
  for (const command of [list, verify, diff]) group.addCommand(command(deps, ended));
  group.argument("[command]", WORDS.join(", ")).allowExcessArguments();
  return group.action((word: string | undefined) => {
    throw word === undefined
      ? new EsperError("USAGE", `checkpoint needs a command: checkpoint ${WORDS.join(", ")}`)
      : unknownCommand(word, WORDS);
  });
}

function list(deps: CliDeps, ended: Ended): Command {
  const command = new Command("ls")
    .description("list the checkpoints of a run, newest first")
    .argument("<run>", "id, path or latest");
  for (const option of globalOptions()) command.addOption(option);
  return command.action(async (run: string) => {
    ended(await runCheckpointList(run, readFlags<GlobalValues>(command), deps));
  });
}

function verify(deps: CliDeps, ended: Ended): Command {
  const command = new Command("verify")
    .description("read every byte and say which are intact; exits with 4 if one is damaged")
    .argument("<run>", "a run (all of its checkpoints and its model), or a .ckpt file");
  for (const option of globalOptions()) command.addOption(option);
  return command.action(async (run: string) => {
    ended(await runCheckpointVerify(run, readFlags<GlobalValues>(command), deps));
  });
}

function diff(deps: CliDeps, ended: Ended): Command {
  const command = new Command("diff")
    .description("show what differs between two states: arrays by name, metadata by path")
    .argument("<a>", ONE)
    .argument("<b>", ONE);
  for (const option of globalOptions()) command.addOption(option);
  return command.action(async (left: string, right: string) => {
    ended(await runCheckpointDiff(left, right, readFlags<GlobalValues>(command), deps));
  });
}
