/**
 * The command line: builds the parser, runs one command and returns the exit code. It never ends
 * the process, and it writes nowhere but to the two outputs it is given.
 */
import { Command } from "commander";
import { EsperError } from "../../protocols/errors.ts";
import { EXIT, EXIT_TABLE } from "../run/exit.ts";
import { LATEST } from "../run/run-dir.ts";
import { checkpointCommand } from "./commands/checkpoint-group.ts";
import { runConfigCheck, runConfigPrint } from "./commands/config.ts";
import { runDoctor } from "./commands/doctor.ts";
import { type InspectValues, runInspect } from "./commands/inspect.ts";
import { runTrain } from "./commands/train.ts";
import {
  type EvaluateValues,
  type PredictValues,
  type ReportValues,
  runEvaluate,
  runList,
  runPredict,
  runReport,
} from "./commands/use-run.ts";
import { walCommand } from "./commands/wal-group.ts";
import type { CliDeps } from "./deps.ts";
import {
  isParserFarewell,
  reportFailure,
  translateParserError,
  unknownCommand,
} from "./failure.ts";
import {
  collectGiven,
  type GlobalValues,
  globalOptions,
  inputOptions,
  outOption,
  type TrainValues,
  trainOptions,
  watchOption,
} from "./options.ts";
import { NAME, readFlags } from "./read-flags.ts";

const EXAMPLES = `Examples:
  ${NAME}                                         train on two spirals and watch the network grow
  ${NAME} --data houses.csv --target price        train on your own table
  ${NAME} --dataset digits --host cnn:8,16        train on images of digits
  ${NAME} --resume latest                         continue the last run
  ${NAME} evaluate latest --data new.csv          score it on data it has not seen
  ${NAME} predict latest --data new.csv --out predictions.csv
  ${NAME} inspect latest --watch                  look into a run from another terminal
  ${NAME} wal backup latest /mnt/other/first      save a run, also while it runs
  ${NAME} --fault kill:tamiyo@3s                  watch a failure being survived`;

const EXIT_CODES = `Exit codes:
${EXIT_TABLE.map(([code, meaning]) => `  ${String(code).padStart(3)}  ${meaning}`).join("\n")}`;

/** The result of the one command that ran, and where parsing stood when an error arose. */
interface Session {
  exitCode: number;
  command: Command | null;
}

/** Runs the command line `argv` (without node and script) and returns the exit code. */
export async function main(argv: readonly string[], deps: CliDeps): Promise<number> {
  const session: Session = { exitCode: EXIT.done, command: null };
  const program = buildProgram(deps, session);
  try {
    await program.parseAsync(argv, { from: "user" });
    return session.exitCode;
  } catch (error) {
    if (isParserFarewell(error)) return EXIT.done;
    const failed = session.command ?? program;
    const stray = failed === program ? strayWord(program) : null;
    const told = stray === null ? translateParserError(error, failed) : stray;
    return reportFailure(told, deps, {
      json: argv.includes("--json"),
      verbose: argv.includes("--verbose"),
    });
  }
}

/** The root trains by itself; with positional options a flag after a command belongs to it. */
function buildProgram(deps: CliDeps, session: Session): Command {
  const program = new Command(NAME);
  program
    .description("Trains neural networks that grow while they train.")
    .version(deps.version, "--version", "print the version")
    .enablePositionalOptions()
    .argument("[command]", "train when left out")
    .allowExcessArguments()
    .helpCommand("help [command]", "show the help of a command")
    .addHelpText("after", `\n${EXAMPLES}\n\n${EXIT_CODES}`);
  for (const option of trainOptions()) program.addOption(option);
  const ended = (exitCode: number): void => {
    session.exitCode = exitCode;
  };
  const commands = [
    trainCommand(deps, session),
    evaluateCommand(deps, session),
    predictCommand(deps, session),
    reportCommand(deps, session),
    runsCommand(deps, session),
    inspectCommand(deps, session),
    walCommand(deps, ended),
    checkpointCommand(deps, ended),
    configCommand(deps, session),
    doctorCommand(deps, session),
  ];
  for (const command of commands) program.addCommand(command);
  harden(program, deps, session);
  return program.action(async () => {
    const stray = strayWord(program);
    if (stray !== null) throw stray;
    session.exitCode = await runTrain(collectGiven<TrainValues>(program), deps);
  });
}

/** The refusal of a word that is no command; it explains more than the flags after it would. */
function strayWord(program: Command): EsperError | null {
  const word = program.args[0];
  const names = [...program.commands.map((command) => command.name()), "help"];
  if (word === undefined || word.startsWith("-") || names.includes(word)) return null;
  return unknownCommand(word, names);
}

/** Makes a command and those below it throw and write where the program is told to. */
function harden(command: Command, deps: CliDeps, session: Session): void {
  const { stdout } = deps;
  command
    .exitOverride((error) => {
      session.command = command;
      throw error;
    })
    .showSuggestionAfterError(false)
    .helpOption("--help", "show this help")
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      // Errors are told once, by reportFailure.
      writeErr: () => {},
      getOutHelpWidth: () => Math.max(60, Math.min(100, stdout.columns())),
      getOutHasColors: () => false,
    });
  for (const child of command.commands) harden(child, deps, session);
}

/** The same as no command at all, for those who like to say what they do. */
function trainCommand(deps: CliDeps, session: Session): Command {
  const command = new Command("train").description("train a network (the default)");
  for (const option of trainOptions()) command.addOption(option);
  return command.action(async () => {
    session.exitCode = await runTrain(collectGiven<TrainValues>(command), deps);
  });
}

function evaluateCommand(deps: CliDeps, session: Session): Command {
  const command = new Command("evaluate")
    .description("score a trained network on data it has not seen")
    .argument("<run>", "id, path or latest");
  for (const option of [...globalOptions(), ...inputOptions()]) command.addOption(option);
  return command.action(async (run: string) => {
    session.exitCode = await runEvaluate(run, readFlags<EvaluateValues>(command), deps);
  });
}

function predictCommand(deps: CliDeps, session: Session): Command {
  const command = new Command("predict")
    .description("write a trained network's predictions as CSV")
    .argument("<run>", "id, path or latest")
    .addOption(outOption("CSV file to write", "required"));
  for (const option of [...globalOptions(), ...inputOptions()]) command.addOption(option);
  return command.action(async (run: string) => {
    session.exitCode = await runPredict(run, readFlags<PredictValues>(command), deps);
  });
}

function reportCommand(deps: CliDeps, session: Session): Command {
  const command = new Command("report")
    .description("write a run's HTML report")
    .argument("<run>", "id, path or latest")
    .addOption(outOption("HTML file to write", "report.html in the run's folder"));
  for (const option of globalOptions()) command.addOption(option);
  return command.action(async (run: string) => {
    session.exitCode = await runReport(run, readFlags<ReportValues>(command), deps);
  });
}

function runsCommand(deps: CliDeps, session: Session): Command {
  const command = new Command("runs").description("list the runs, newest first");
  for (const option of globalOptions()) command.addOption(option);
  return command.action(async () => {
    session.exitCode = await runList(readFlags<GlobalValues>(command), deps);
  });
}

function inspectCommand(deps: CliDeps, session: Session): Command {
  const command = new Command("inspect")
    .description("look into a run that is being worked on: actors, mailboxes, threads")
    .argument("[run]", "id, path or latest", LATEST)
    .addOption(watchOption());
  for (const option of globalOptions()) command.addOption(option);
  return command.action(async (run: string) => {
    session.exitCode = await runInspect(run, readFlags<InspectValues>(command), deps);
  });
}

function configCommand(deps: CliDeps, session: Session): Command {
  const group = new Command("config").description("check or print configuration and settings");
  const check = new Command("check").description("say whether everything is valid");
  const print = new Command("print").description("show every value and where it comes from");
  for (const option of globalOptions()) group.addOption(option);
  for (const command of [check, print]) {
    for (const option of globalOptions()) command.addOption(option);
    group.addCommand(command);
  }
  check.action(async () => {
    session.exitCode = await runConfigCheck(readFlags<GlobalValues>(check), deps);
  });
  print.action(async () => {
    session.exitCode = await runConfigPrint(readFlags<GlobalValues>(print), deps);
  });
  group.argument("[command]", "check or print").action((word: string | undefined) => {
    throw word === undefined
      ? new EsperError("USAGE", "config needs a command: config check or config print")
      : unknownCommand(word, ["check", "print"]);
  });
  return group;
}

function doctorCommand(deps: CliDeps, session: Session): Command {
  const command = new Command("doctor").description("try what a run needs on this machine");
  for (const option of globalOptions()) command.addOption(option);
  return command.action(async () => {
    session.exitCode = await runDoctor(readFlags<GlobalValues>(command), deps);
  });
}
