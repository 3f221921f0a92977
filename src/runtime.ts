#!/usr/bin/env node
/**
 * The executable: gives the command line its outside world, runs it, and ends the process with its
 * exit code. The only file that ends the process.
 */
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { describeClaim, ledgerFloor } from "./actors/ledger/for-operators.ts";
import { main } from "./runtime/cli/main.ts";
import { type Breakage, openOutput } from "./runtime/cli/output.ts";
import { createObserver } from "./runtime/cli/ui/observer.ts";
import { systemClock } from "./runtime/clock.ts";
import { readEnvironment } from "./runtime/config/environment.ts";
import { loadConfig } from "./runtime/config/load.ts";
import { systemFiles } from "./runtime/durable/files.ts";
import { createCommands } from "./runtime/run/commands.ts";
import { endProcess } from "./runtime/run/end-process.ts";
import { watchSignals } from "./runtime/run/signals.ts";
import { liveThreads } from "./runtime/thread/thread-roll.ts";

const KIB = 1_024;

async function productVersion(): Promise<string> {
  const path = fileURLToPath(new URL("../package.json", import.meta.url));
  const text = new TextDecoder().decode(await systemFiles.read(path));
  return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
}

const stderr = openOutput(process.stderr, () => undefined);

/** Without its output a run is stopped like by a signal: with a checkpoint, ready to be resumed. */
function explain(breakage: Breakage): string {
  if (breakage.kind === "reader-gone") return "the reader of standard output is gone";
  return `standard output failed (${breakage.message})`;
}

async function end(code: number): Promise<void> {
  await endProcess(code, {
    clock: systemClock,
    files: systemFiles,
    exit: (exitCode) => process.exit(exitCode),
    kill: () => process.kill(process.pid, "SIGKILL"),
    say: (line) => stderr.write(`${line}\n`),
  });
}

/** With threads alive an exit might never return, so they are ended first. */
function endNow(code: number): void {
  if (liveThreads().length === 0) process.exit(code);
  else void end(code);
}

async function run(): Promise<number> {
  const version = await productVersion();
  const signals = watchSignals({
    source: {
      on: (signal, listener) => void process.on(signal, listener),
      off: (signal, listener) => void process.off(signal, listener),
      exit: endNow,
    },
    clock: systemClock,
    say: (line) => stderr.write(`${line}\n`),
  });
  const stdout = openOutput(process.stdout, (breakage) => signals.stopRun(explain(breakage)));
  const exitCode = await main(process.argv.slice(2), {
    version,
    stdout,
    stderr,
    environment: readEnvironment(),
    clock: systemClock,
    files: systemFiles,
    signals,
    loadConfig: (file) => loadConfig(file, { files: systemFiles, workingDirectory: process.cwd() }),
    createObserver,
    ...createCommands({
      files: systemFiles,
      clock: systemClock,
      version,
      nodeVersion: process.version,
      readClaim: describeClaim,
      ledgerFloor,
      residentBytes: () => process.resourceUsage().maxRSS * KIB,
    }),
  });
  await Promise.all([stdout.drained(), stderr.drained()]);
  return exitCode;
}

await end(await run());
