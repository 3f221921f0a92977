import { existsSync, statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type JsonEvent, latest, newFolder, type Running, run, start } from "./program.ts";

/** A run that goes on until it is told to stop. */
const LONG = ["--json", "--seed", "3", "--epochs", "200000", "--no-growth"];

async function startLong(runs: string): Promise<Running> {
  const running = start(runs, LONG);
  await running.event(({ kind }) => kind === "epoch");
  return running;
}

const actorsOf = (node: JsonEvent): JsonEvent[] =>
  (node["children"] as JsonEvent[]).flatMap((child) =>
    child.kind === "actor" ? [child] : actorsOf(child),
  );

describe("inspect of a run in another process", () => {
  it("shows the main job, watches it, and says when it is over", async () => {
    const runs = newFolder();
    const job = await startLong(runs);
    const socket = join(latest(runs), "control.sock");
    expect(statSync(socket).mode & 0o777).toBe(0o600);

    const json = await run(runs, ["inspect", "--json"]);
    expect([json.code, json.stderr]).toEqual([0, ""]);
    const snapshot = JSON.parse(json.stdout) as JsonEvent;
    expect(snapshot["process"].pid).toBe(job.child.pid);
    const actors = actorsOf(snapshot["tree"] as JsonEvent);
    const names = actors.map(({ name }) => name as string);
    expect(names).toEqual(expect.arrayContaining(["nissa", "kasmina", "tamiyo", "tolaria"]));
    for (const { state } of actors) expect(state).toBe("running");
    const device = (snapshot["threads"] as JsonEvent[]).find(({ name }) => name === "device");
    expect(device!["utilisation"]).toBeGreaterThan(0.3);
    expect(actors.some(({ perSecond }) => perSecond > 1)).toBe(true);

    const text = await run(runs, ["inspect", "latest"]);
    expect(text.code).toBe(0);
    expect(text.stdout).toMatch(/^ACTOR +THREAD +STATE/m);
    expect(text.stdout).toMatch(/─ tolaria +device +running +1 +0\/3/);

    const watch = start(runs, ["inspect", "--watch", "0.2", "--json"]);
    let seen = 0;
    await watch.event(() => ++seen >= 3);
    watch.child.kill("SIGINT");
    const watched = await watch.ended;
    expect([watched.code, watched.signal, watched.stderr]).toEqual([0, null, ""]);

    job.child.kill("SIGINT");
    const stopped = await job.ended;
    expect(stopped.code).toBe(130);
    expect(existsSync(socket)).toBe(false);
    const over = await run(runs, ["inspect", "--json"]);
    expect(over.code).toBe(2);
    expect(JSON.parse(over.stdout)).toMatchObject({ kind: "error", code: "RUN_NOT_RUNNING" });
    expect(over.stderr).toContain("is not running: it is stopped");
  });

  it("ends with its run, and replaces what a killed run has left behind", async () => {
    const runs = newFolder();
    const job = await startLong(runs);
    const directory = latest(runs);
    const socket = join(directory, "control.sock");
    const watch = start(runs, ["inspect", "--watch", "0.2", "--json"]);
    await watch.event(() => true);
    job.child.kill("SIGKILL");
    const watched = await watch.ended;
    expect(watched.code).toBe(1);
    expect(watched.stderr).toContain("CONTROL_UNREACHABLE");
    await job.ended;
    expect(existsSync(socket)).toBe(true);
    const dead = await run(runs, ["inspect"]);
    expect([dead.code, dead.stdout]).toEqual([2, ""]);
    expect(dead.stderr).toContain("RUN_NOT_RUNNING");
    expect(dead.stderr).toContain("ended without a word");

    const again = start(runs, ["--resume", "latest", "--json"]);
    await again.event(({ kind }) => kind === "epoch");
    expect((await run(runs, ["inspect", "latest", "--json"])).code).toBe(0);
    // A client that says nonsense and one that says nothing do the run no harm.
    const silent = connect(socket);
    const noisy = connect(socket, () => noisy.end("\u0000\u0001\n".repeat(1_000)));
    await new Promise((resolve) => noisy.resume().once("close", resolve));
    again.child.kill("SIGINT");
    expect((await again.ended).code).toBe(130);
    silent.destroy();
    expect(existsSync(socket)).toBe(false);
  });

  it("says which run there is not", async () => {
    const runs = newFolder();
    const missing = await run(runs, ["inspect", "nowhere"]);
    expect(missing.code).toBe(2);
    expect(missing.stderr).toContain("RUN_NOT_FOUND");
  });
});
