/** Several processes want one run at once, and the one that has it is killed. */
import { type ChildProcess, spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { afterEach, expect, it } from "vitest";

const CONTENDERS = 4;
const ROUNDS = 4;
const SCRIPT = `
const { systemFiles } = await import(process.argv[1] + "/runtime/durable/files.js");
const { lockRun } = await import(process.argv[1] + "/runtime/run/run-lock.js");
process.stdout.write("ready\\n");
process.stdin.once("data", async () => {
  const outcome = await lockRun(systemFiles, process.argv[2]).then(
    () => "taken",
    (error) => error.code + " " + error.details.pid,
  );
  process.stdout.write(outcome + "\\n");
});
`;

const DIST = new URL("../../dist", import.meta.url).href;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "esper-run-lock-"));
const children = new Set<ChildProcess>();

afterEach(() => {
  for (const child of children) child.kill("SIGKILL");
  fs.rmSync(folder, { recursive: true });
});

function contender() {
  const args = ["--input-type=module", "-e", SCRIPT, DIST, folder];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
  children.add(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async (): Promise<string> => String((await lines.next()).value);
  const end = async (): Promise<void> => {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
    children.delete(child);
  };
  return { child, line, end };
}

it("gives a run to exactly one of them, and after its death to exactly one again", async () => {
  let owner: ReturnType<typeof contender> | null = null;
  for (let round = 0; round < ROUNDS; round++) {
    const all = Array.from({ length: CONTENDERS }, contender);
    await Promise.all(all.map(({ line }) => line()));
    // The last owner dies without a word.
    await owner?.end();
    for (const { child } of all) child.stdin?.write("go\n");
    const outcomes = await Promise.all(all.map(({ line }) => line()));
    const winner = all[outcomes.indexOf("taken")];
    expect(outcomes.filter((outcome) => outcome === "taken")).toHaveLength(1);
    const others = outcomes.filter((outcome) => outcome !== "taken");
    expect(new Set(others)).toEqual(new Set([`RUN_LOCKED ${winner?.child.pid}`]));
    owner = winner ?? null;
    for (const one of all) if (one !== winner) await one.end();
  }
  expect(fs.readdirSync(folder)).toEqual([`lock.${ROUNDS}`]);
});
