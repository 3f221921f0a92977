/**
 * Runs one side of a bench in a process of its own, so that no side inherits the other's heap,
 * compiled code or threads. The last line of its standard output is its result as JSON.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { z } from "zod";

const DEADLINE_MS = 180_000;

export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly deadlineMs?: number;
}

/** Everything the program wrote to standard output. A failure carries what it wrote besides. */
export function outputOf({ command, args, deadlineMs = DEADLINE_MS }: Launch): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args], { stdio: ["ignore", "pipe", "pipe"] });
    const timer = setTimeout(() => child.kill("SIGKILL"), deadlineMs);
    let out = "";
    let problems = "";
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      problems += chunk.toString();
    });
    child.once("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      if (code === 0) return resolve(out);
      const how = signal ?? `exit code ${code}`;
      reject(new Error(`${command} ${args.join(" ")} ended with ${how}: ${problems}${out}`));
    });
  });
}

/** The result of a script of this harness, checked against `shape`. */
export async function runSide<Shape extends z.ZodType>(
  script: URL,
  args: readonly (string | number)[],
  shape: Shape,
  flags: readonly string[] = [],
): Promise<z.infer<Shape>> {
  const launch = [...flags, fileURLToPath(script), ...args.map(String)];
  const out = await outputOf({ command: process.execPath, args: launch });
  const last = out.trimEnd().split("\n").at(-1) ?? "";
  return shape.parse(JSON.parse(last));
}
