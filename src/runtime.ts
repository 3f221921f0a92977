#!/usr/bin/env node
/**
 * The executable: gives the command line its outside world, runs it, and ends the process with its
 * exit code. The only file that ends the process.
 */
import { fileURLToPath } from "node:url";
import { z } from "zod";
import type { Output } from "./runtime/cli/deps.ts";
import { main } from "./runtime/cli/main.ts";
import { createObserver } from "./runtime/cli/ui/observer.ts";
import { systemClock } from "./runtime/clock.ts";
import { readEnvironment } from "./runtime/config/environment.ts";
import { loadConfig } from "./runtime/config/load.ts";
import { systemFiles } from "./runtime/durable/files.ts";
import { createCommands } from "./runtime/run/commands.ts";
import { watchSignals } from "./runtime/run/signals.ts";

const KIB = 1_024;
const DEFAULT_COLUMNS = 80;
const DEFAULT_ROWS = 24;

function outputOf(stream: NodeJS.WriteStream): Output {
  return {
    write: (text) => void stream.write(text),
    isTTY: stream.isTTY === true,
    columns: () => stream.columns ?? DEFAULT_COLUMNS,
    rows: () => stream.rows ?? DEFAULT_ROWS,
  };
}

async function productVersion(): Promise<string> {
  const path = fileURLToPath(new URL("../package.json", import.meta.url));
  const text = new TextDecoder().decode(await systemFiles.read(path));
  return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
}

/** Waits until the stream has taken everything, so that no last line is lost. */
function drained(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.write("", () => resolve());
  });
}

async function run(): Promise<number> {
  const version = await productVersion();
  const stderr = outputOf(process.stderr);
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
    stdout: outputOf(process.stdout),
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

// A closed pipe (`| head`) is the reader's choice, not an error.
process.stdout.on("error", () => process.exit(0));

const exitCode = await run();
await Promise.all([drained(process.stdout), drained(process.stderr)]);
process.exit(exitCode);
