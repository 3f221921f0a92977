/** The example app, run as its first line says. */
import { spawn } from "node:child_process";
import fs from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const FOLDER = fileURLToPath(new URL("../../examples/link-checker/", import.meta.url));
const LIMIT_MS = 60_000;
const LINES_MAX = 80;

interface Ended {
  readonly code: number | null;
  readonly lines: readonly string[];
  readonly stderr: string;
}

/** Runs it to its end; `signal` is sent once that text has been printed. */
function run(delayMs: number, signal?: { readonly after: string }): Promise<Ended> {
  const child = spawn(process.execPath, [`${FOLDER}main.mjs`, String(delayMs)]);
  const limit = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
  let [stdout, stderr, sent] = ["", "", false];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    if (sent || signal === undefined || !stdout.includes(signal.after)) return;
    sent = child.kill("SIGINT");
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  return new Promise((resolve) => {
    child.on("close", (code) => {
      clearTimeout(limit);
      resolve({ code, stderr, lines: stdout.split("\n").filter((line) => line !== "") });
    });
  });
}

it("finds every broken link, and outlives the page that kills its parser", async () => {
  const { code, lines, stderr } = await run(1);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(lines).toContain("error: parser: the actor crashed");
  expect(lines.filter((line) => line.startsWith("  ")).sort()).toEqual([
    "  HANDLER_FAILED  /page/33",
    "  HTTP 404  /gone/18",
    "  HTTP 404  /gone/30",
    "  HTTP 404  /gone/42",
    "  HTTP 404  /gone/6",
  ]);
  expect(lines.slice(-2)).toEqual(["complete: 54 of 54 links, 5 bad", "restarts: 1"]);
}, 70_000);

it("stops at once when it is told to, with what it knows by then", async () => {
  // At this pace the whole site takes a minute.
  const { code, lines, stderr } = await run(3_000, { after: "checking" });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const [, checked, known] = /^interrupted: (\d+) of (\d+) links/.exec(lines.at(-2) ?? "") ?? [];
  expect(Number(checked)).toBeLessThan(Number(known));
  expect(Number(known)).toBeLessThan(54);
}, 70_000);

it("is a small program", () => {
  const texts = ["main.mjs", "actors.mjs"].map((file) => fs.readFileSync(FOLDER + file, "utf8"));
  const code = texts
    .join("")
    .split("\n")
    .filter((line) => /^\s*[^\s/*]/.test(line));
  expect(code.length).toBeLessThan(LINES_MAX);
});
