/** What follows when an actor, or its thread, ends more often than its supervisor allows. */
import { describe, expect, it } from "vitest";
import { DyingProtocol, dying } from "../fixtures/actors/dying-actors.mjs";
import { mortal } from "../fixtures/actors/mortal-actor.mjs";
import { until } from "../unit/runtime/support.ts";
import { actor, startThreads, supervisor } from "./built.ts";

const roll = await import("../../dist/runtime/thread/thread-roll.js");
const errors = await import("../../dist/protocols/errors.js");
const RETRY = { deadlineMs: 8_000, onRestart: "retry" } as const;

function startTrio() {
  return startThreads(
    supervisor({
      intensity: 1,
      periodMs: 60_000,
      children: {
        first: actor(dying, { thread: "one" }),
        second: actor(mortal, { thread: "two" }),
        third: actor(dying, { thread: "three" }),
      },
    }),
  );
}

describe.each([
  ["an actor", "error"],
  ["a thread", "exit"],
])("%s that ends once more than is allowed", (_what, how) => {
  it("ends the system: right to left, once, with exit code 1, and no thread left", async () => {
    const { system, events, logs } = await startTrio();
    const second = system.ref(DyingProtocol, "second");
    second.cast("die", how);
    await until(() => system.restarts === 1, 5_000);
    if (how === "exit") {
      await second.call("echo", 1, RETRY);
      second.cast("die", how);
    }
    const end = await system.finished;
    expect(end).toMatchObject({ outcome: "gave-up", error: { code: "SUPERVISOR_GAVE_UP" } });
    expect(errors.ERROR_CATALOGUE.SUPERVISOR_GAVE_UP.exitCode).toBe(1);
    const gaveUp = events.filter(({ kind }) => kind === "gave-up");
    expect(gaveUp).toMatchObject([{ supervisor: "root", actor: "second" }]);
    const stops = logs.filter(({ msg }) => msg === "stops").map(({ actor: name }) => name);
    const last = stops.filter((name) => name !== "second");
    expect(last).toEqual(["third", "first"]);
    expect(roll.liveThreads()).toEqual([]);
    expect(system.zombies).toBe(0);
  });
});
