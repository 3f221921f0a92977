/** The command `wal` and those below it, with their flags. */
import { Command } from "commander";
import { EsperError } from "../../../protocols/errors.ts";
import type { CliDeps } from "../deps.ts";
import { unknownCommand } from "../failure.ts";
import {
  type GlobalValues,
  globalOptions,
  recordOptions,
  repairOption,
  soakOptions,
} from "../options.ts";
import { readFlags } from "../read-flags.ts";
import { runWalInspect, runWalVerify, type WalInspectValues } from "./wal.ts";
import { runWalBackup, runWalRestore, type WalRestoreValues } from "./wal-backup.ts";
import { runWalSoakCommand, type WalSoakValues } from "./wal-soak.ts";

/** Takes the exit code of a command that has ended. */
export type Ended = (exitCode: number) => void;

const WORDS = ["inspect", "verify", "backup", "restore", "soak"];
const RUN = "id, path or latest";

/** `wal inspect|verify|backup|restore|soak`. */
export function walCommand(deps: CliDeps, ended: Ended): Command {
  const group = new Command("wal").description("look at, check, save and restore a run's logs");
  for (const option of globalOptions()) group.addOption(option);
  const commands = [inspect, verify, backup, restore, soak];
  for (const command of commands) group.addCommand(command(deps, ended));
  group.argument("[command]", WORDS.join(", ")).allowExcessArguments();
  return group.action((word: string | undefined) => {
    throw word === undefined
      ? new EsperError("USAGE", `wal needs a command: wal ${WORDS.join(", wal ")}`)
      : unknownCommand(word, WORDS);
  });
}

function inspect(deps: CliDeps, ended: Ended): Command {
  const command = new Command("inspect")
    .description("show how much the logs hold, what waits to be sent, or every record")
    .argument("<run>", `a run or a backup: ${RUN}`);
  for (const option of [...globalOptions(), ...recordOptions()]) command.addOption(option);
  return command.action(async (run: string) => {
    ended(await runWalInspect(run, readFlags<WalInspectValues>(command), deps));
  });
}

function verify(deps: CliDeps, ended: Ended): Command {
  const command = new Command("verify")
    .description("check every record and tell all damage; changes nothing; exits with 4 if any")
    .argument("<run>", `a run or a backup: ${RUN}`);
  for (const option of globalOptions()) command.addOption(option);
  return command.action(async (run: string) => {
    ended(await runWalVerify(run, readFlags<GlobalValues>(command), deps));
  });
}

function backup(deps: CliDeps, ended: Ended): Command {
  const command = new Command("backup")
    .description("save logs, newest checkpoint and manifest of a run, also while it runs")
    .argument("<run>", RUN)
    .argument("<directory>", "where to: an empty or a new directory");
  for (const option of globalOptions()) command.addOption(option);
  return command.action(async (run: string, directory: string) => {
    ended(await runWalBackup(run, directory, readFlags<GlobalValues>(command), deps));
  });
}

function restore(deps: CliDeps, ended: Ended): Command {
  const command = new Command("restore")
    .description("put a backup back, or mend a run; what was there is kept under another name")
    .argument("[backup]", "the backup's directory; with --repair the run instead")
    .argument("[run]", "the run to replace, or a new directory");
  for (const option of [...globalOptions(), repairOption()]) command.addOption(option);
  return command.action(async (first: string | undefined, second: string | undefined) => {
    ended(await runWalRestore(first, second, readFlags<WalRestoreValues>(command), deps));
  });
}

function soak(deps: CliDeps, ended: Ended): Command {
  const command = new Command("soak").description(
    "kill real writers of a log at random and check that nothing confirmed is ever lost",
  );
  for (const option of [...globalOptions(), ...soakOptions()]) command.addOption(option);
  return command.action(async () => {
    ended(await runWalSoakCommand(readFlags<WalSoakValues>(command), deps));
  });
}
