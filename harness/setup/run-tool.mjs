/**
 * Runs one tool to its end with bounded time and bounded memory for its output. The tool is ended
 * when the set-up is interrupted, so no npm or compiler is left behind.
 */
import { spawn } from "node:child_process";
import process from "node:process";
import { SetupInterrupted } from "./failure.mjs";

const OUTPUT_BYTES_MAX = 64 * 1024;
const KILL_AFTER_MS = 5_000;

/**
 * Starts `command` with `args`. Resolves to its exit code (null when it was killed or could not be
 * started), the last 64 KiB of what it wrote and whether it ran past `deadlineMs`.
 * @throws {SetupInterrupted} after the tool has ended, when `stop` fired.
 */
export function runTool({ command, args, cwd, deadlineMs, stop, shell = false }) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, shell, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    let timedOut = false;
    let killTimer;
    const end = () => {
      child.kill("SIGTERM");
      killTimer ??= setTimeout(() => child.kill("SIGKILL"), KILL_AFTER_MS);
    };
    const deadline = setTimeout(() => {
      timedOut = true;
      end();
    }, deadlineMs);
    const keep = (chunk) => {
      output = (output + chunk).slice(-OUTPUT_BYTES_MAX);
    };
    child.stdout.setEncoding("utf8").on("data", keep);
    child.stderr.setEncoding("utf8").on("data", keep);
    stop.addEventListener("abort", end, { once: true });
    const settle = (code) => {
      clearTimeout(deadline);
      clearTimeout(killTimer);
      stop.removeEventListener("abort", end);
      if (stop.aborted) reject(new SetupInterrupted(stop.reason));
      else resolve({ code, output, timedOut });
    };
    child.once("error", (error) => {
      keep(`${error.message}\n`);
      settle(null);
    });
    child.once("close", (code) => settle(code));
    if (stop.aborted) end();
  });
}

/** The npm that runs this script, else the one on the PATH. */
export function npmCommand() {
  const npm = process.env.npm_execpath;
  if (npm?.endsWith("npm-cli.js")) {
    return { command: process.execPath, args: [npm], shell: false };
  }
  const windows = process.platform === "win32";
  return { command: windows ? "npm.cmd" : "npm", args: [], shell: windows };
}
