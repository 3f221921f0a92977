/** Equal runs are equal, whatever happened to them on the way. */
import fs from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import {
  type Ended,
  equalRows,
  eventsOf,
  type JsonEvent,
  latest,
  linesOf,
  newFolder,
  readJson,
  readLines,
  run,
  start,
  summaryOf,
} from "./program.ts";

/** Long enough that a seed lives its whole life: two steps an epoch, 1,600 steps. */
const ARGS = ["--json", "--seed", "3", "--epochs", "800"];

interface Reference {
  readonly ended: Ended;
  readonly directory: string;
  readonly digest: string;
  readonly rows: readonly string[];
}

let reference: Reference;

beforeAll(async () => {
  const runs = newFolder();
  const ended = await run(runs, ARGS);
  const digest = summaryOf(ended)["digest"] as string;
  const directory = latest(runs);
  reference = { ended, directory, digest, rows: equalRows(directory) };
});

/** Events without what depends on the clock, on the folder or on the run's id. */
function comparable(stdout: string): JsonEvent[] {
  return eventsOf(stdout)
    .filter(({ kind }) => kind !== "progress")
    .map((event) => {
      if (event.kind === "started") return { ...event, runId: "", directory: "" };
      if (event.kind === "epoch") return { ...event, samplesPerSecond: 0 };
      if (event.kind !== "finished") return event;
      const wall = { wallSeconds: 0, firstGrowthSeconds: 0, residentMemoryMb: 0 };
      return { ...event, summary: { ...event["summary"], ...wall, runId: "", directory: "" } };
    });
}

const isMove = (to: string) => (event: JsonEvent) =>
  event.kind === "seed" && event["transition"].to === to;

function expectSame(ended: Ended, runs: string): JsonEvent {
  expect(ended.code, ended.stderr).toBe(0);
  const summary = summaryOf(ended);
  expect(summary["digest"]).toBe(reference.digest);
  expect(equalRows(latest(runs))).toEqual(reference.rows);
  return summary;
}

describe("a run with --json", () => {
  it("says nothing but JSON on stdout and grows its network", () => {
    const { ended } = reference;
    expect(ended.code).toBe(0);
    const events = eventsOf(ended.stdout);
    expect(events[0]).toMatchObject({ kind: "started", engine: "wasm", resumedFromStep: null });
    expect(events.at(-1)).toMatchObject({ kind: "finished" });
    expect(events.filter(isMove("FOSSILIZED"))).toHaveLength(1);
    expect(summaryOf(ended)).toMatchObject({ outcome: "completed", steps: 1_600, restarts: 0 });
  });

  it("is repeated event for event and row for row by the same seed", async () => {
    const runs = newFolder();
    const again = await run(runs, ARGS);
    expect(comparable(again.stdout)).toEqual(comparable(reference.ended.stdout));
    expectSame(again, runs);
  });

  it("leaves a log of nothing but JSON objects", () => {
    const lines = readLines(reference.directory, "log.jsonl");
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) expect(JSON.parse(line)).toMatchObject({ msg: expect.any(String) });
  });

  it("is another run with another seed", async () => {
    const runs = newFolder();
    const other = await run(runs, ["--json", "--seed", "4", "--epochs", "10"]);
    const rows = equalRows(latest(runs)).slice(0, 4);
    expect(other.code).toBe(0);
    expect(rows).not.toEqual(reference.rows.slice(0, 4));
  });
});

describe("a run that was killed", () => {
  it("ends like the undisturbed one after --resume, killed in the middle of blending", async () => {
    const runs = newFolder();
    const first = start(runs, ARGS);
    await first.event(isMove("SHADOWING"));
    first.child.kill("SIGKILL");
    expect(await first.ended).toMatchObject({ code: null, signal: "SIGKILL" });
    expect(readJson(latest(runs), "manifest.json")["status"]).toBe("running");

    const second = await run(runs, ["--json", "--resume", "latest"]);
    expectSame(second, runs);
    const [started] = eventsOf(second.stdout);
    expect(started?.["resumedFromStep"]).toBeGreaterThan(0);
    expect(readJson(latest(runs), "manifest.json")).toMatchObject({
      status: "completed",
      incarnation: 2,
    });
    const refused = await run(runs, ["--resume", "latest"]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/error USAGE: .*complete/);
  });

  it("does not train on when only the news of its end was lost", async () => {
    const runs = newFolder();
    const args = ["--json", "--seed", "5", "--epochs", "30"];
    const whole = await run(runs, args);
    const directory = latest(runs);
    const rows = equalRows(directory);
    const file = path.join(directory, "manifest.json");
    const manifest = { ...readJson(file), status: "running", summary: null };
    fs.writeFileSync(file, JSON.stringify(manifest));

    const resumed = await run(runs, ["--json", "--resume", "latest"]);
    expect(resumed.code, resumed.stderr).toBe(0);
    const { digest, steps, epochs, outcome } = summaryOf(whole);
    expect(summaryOf(resumed)).toMatchObject({ digest, steps, epochs, outcome });
    expect(equalRows(directory)).toEqual(rows);
  });
});

describe("a run whose actors fail", () => {
  it.each([
    ["kill", "tamiyo", "tamiyo"],
    ["kill", "tolaria", "tolaria"],
    ["crash", "kasmina", "kasmina"],
  ])("ends alike after %s:%s and tells of the restart", async (kind, actor, restarted) => {
    const runs = newFolder();
    const ended = await run(runs, [...ARGS, "--fault", `${kind}:${actor}@step:700`]);
    const summary = expectSame(ended, runs);
    expect(summary["restarts"]).toBeGreaterThanOrEqual(1);
    const told = eventsOf(ended.stdout).filter((event) => event.kind === "restart");
    expect(told.map((event) => event["actor"])).toContain(restarted);
    const events = readLines(latest(runs), "events.jsonl").map((line) => JSON.parse(line));
    expect(events.filter((event) => event.name === "supervisor.restarted")).toContainEqual(
      expect.objectContaining({ attributes: expect.objectContaining({ actor: restarted }) }),
    );
    for (const line of linesOf(ended.stderr)) expect(line).not.toMatch(/^error/);
  });
});
