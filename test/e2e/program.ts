/** Runs the built program as people do: as a child process, in a folder of the test's own. */
import { type ChildProcess, spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, vi } from "vitest";

const PROGRAM = fileURLToPath(new URL("../../dist/runtime.js", import.meta.url));
/** No run of these tests takes a tenth of this; a hung one must not hang the suite. */
const LIMIT_MS = 60_000;

/** A test runs the program up to three times, perhaps on a machine with other work to do. */
vi.setConfig({ testTimeout: 3 * LIMIT_MS, hookTimeout: LIMIT_MS });

export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface JsonEvent {
  readonly kind: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into events of many kinds.
  readonly [field: string]: any;
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves with the first event of `--json` that fits; rejects when the program ends without. */
  event(fits: (event: JsonEvent) => boolean): Promise<JsonEvent>;
}

const folders: string[] = [];
const children = new Set<ChildProcess>();

afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
  for (const folder of folders) fs.rmSync(folder, { recursive: true, force: true });
});

export function newFolder(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "esper-e2e-"));
  folders.push(folder);
  return folder;
}

/** One parsed event a line; throws at the first line that is not JSON. */
export function eventsOf(stdout: string): JsonEvent[] {
  return linesOf(stdout).map((line) => JSON.parse(line) as JsonEvent);
}

export function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

/** The environment without any setting of the product: a test must not depend on the caller's. */
export function plainEnvironment(): NodeJS.ProcessEnv {
  const kept = ["PATH", "HOME", "TMPDIR", "LANG"].map((name) => [name, process.env[name]]);
  return Object.fromEntries(kept.filter(([, value]) => value !== undefined));
}

/** Starts the program with its runs in `runs`; `shellPrefix` runs first, in the same shell. */
export function start(runs: string, args: readonly string[], shellPrefix = ""): Running {
  const words = [process.execPath, PROGRAM, "--runs", runs, ...args];
  const env = plainEnvironment();
  const child =
    shellPrefix === ""
      ? spawn(words[0]!, words.slice(1), { env })
      : spawn("bash", ["-c", `${shellPrefix}; exec "$@"`, "bash", ...words], { env });
  children.add(child);
  let stdout = "";
  let stderr = "";
  const waiting = new Set<() => void>();
  child.stdout!.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    for (const look of waiting) look();
  });
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const limit = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
  const ended = new Promise<Ended>((resolve) => {
    child.on("close", (code, signal) => {
      clearTimeout(limit);
      children.delete(child);
      resolve({ code, signal, stdout, stderr });
    });
  });
  function event(fits: (event: JsonEvent) => boolean): Promise<JsonEvent> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const whole = stdout.slice(0, stdout.lastIndexOf("\n") + 1);
        const found = eventsOf(whole).find(fits);
        if (found === undefined) return;
        waiting.delete(look);
        resolve(found);
      };
      waiting.add(look);
      look();
      ended.then(({ code, signal }) => {
        if (waiting.delete(look)) {
          reject(new Error(`no such event; ended with ${code ?? signal}\n${stderr}`));
        }
      }, reject);
    });
  }
  return { child, ended, event };
}

/** Runs the program to its end. */
export function run(runs: string, args: readonly string[], shellPrefix = ""): Promise<Ended> {
  return start(runs, args, shellPrefix).ended;
}

/** The directory of the run started last. */
export function latest(runs: string): string {
  return fs.realpathSync(path.join(runs, "latest"));
}

export function readLines(...parts: string[]): string[] {
  return linesOf(fs.readFileSync(path.join(...parts), "utf8"));
}

export function readJson(...parts: string[]): JsonEvent {
  return JSON.parse(fs.readFileSync(path.join(...parts), "utf8")) as JsonEvent;
}

/** The finished summary of a run that ended well; fails with what the program said otherwise. */
export function summaryOf(ended: Ended): JsonEvent {
  const finished = eventsOf(ended.stdout).find(({ kind }) => kind === "finished");
  if (finished === undefined) throw new Error(`exit ${ended.code}\n${ended.stderr}`);
  return finished["summary"] as JsonEvent;
}

/** `metrics.jsonl` without what may differ between equal runs. */
export function equalRows(directory: string): string[] {
  return readLines(directory, "metrics.jsonl").map((line) => {
    const row = JSON.parse(line) as Record<string, unknown>;
    const kept = Object.entries(row).filter(([name]) => !name.endsWith("_wall"));
    return JSON.stringify(Object.fromEntries(kept));
  });
}
