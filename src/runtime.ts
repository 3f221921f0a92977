#!/usr/bin/env node
/**
 * The executable: gives the command line its outside world, runs it, and ends the process with its
 * exit code. The only file that ends the process.
 */
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { main } from "./runtime/cli/main.ts";
import { type Breakage, openOutput } from "./runtime/cli/output.ts";
import { createObserver } from "./runtime/cli/ui/observer.ts";
import { systemClock } from "./runtime/clock.ts";
import { readEnvironment } from "./runtime/config/environment.ts";
import { loadConfig } from "./runtime/config/load.ts";
import { systemFiles } from "./runtime/durable/files.ts";
import { createCommands } from "./runtime/run/commands.ts";
import { watchSignals } from "./runtime/run/signals.ts";

const KIB = 1_024;

async function productVersion(): Promise<string> {
  const path = fileURLToPath(new URL("../package.json", import.meta.url));
  const text = new TextDecoder().decode(await systemFiles.read(path));
  return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
}

const stderr = openOutput(process.stderr, () => undefined);

/**
 * A reader that leaves (`| head`, a lost terminal) does not end a run: its results are in the run
 * directory all the same. Any other failure of the stream is told once.
 */
function onStdoutBroken(breakage: Breakage): void {
  if (breakage.kind === "reader-gone") return;
  stderr.write(`standard output failed (${breakage.message}); the run goes on without it\n`);
}

const stdout = openOutput(process.stdout, onStdoutBroken);

async function run(): Promise<number> {
  const version = await productVersion();
  const signals = watchSignals({
    source: {
      on: (signal, listener) => void process.on(signal, listener),
      off: (signal, listener) => void process.off(signal, listener),
      exit: (code) => process.exit(code),
    },
    clock: systemClock,
    say: (line) => stderr.write(`${line}\n`),
  });
  return main(process.argv.slice(2), {
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
      residentBytes: () => process.resourceUsage().maxRSS * KIB,
    }),
  });
}

const exitCode = await run();
await Promise.all([stdout.drained(), stderr.drained()]);
process.exit(exitCode);
