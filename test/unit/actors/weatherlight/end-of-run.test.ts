/** The end of a run, as the root tells it: the last commands are judged before the process ends. */
import { expect, it } from "vitest";
import { z } from "zod";
import { weatherlight } from "../../../../src/actors/weatherlight/root.actor.ts";
import { FieldReportsProtocol } from "../../../../src/protocols/actors/durable.ts";
import { type RunResult, WeatherlightProtocol } from "../../../../src/protocols/actors/growth.ts";
import { EsperError } from "../../../../src/protocols/errors.ts";
import { defineActor } from "../../../../src/runtime/actor.ts";
import { actor, supervisor } from "../../../../src/runtime/topology.ts";
import { startInline } from "../../runtime/support.ts";

async function finish(outcome: RunResult["outcome"], incarnation = 1, failing = false) {
  const told: string[] = [];
  const host = {
    current: (asked: number) => asked === 1,
    finished: (result: RunResult) => void told.push(`finished: ${result.outcome}`),
  };
  const status = { published: 0, retries: 0, dropped: 0, pending: 0, retryBacklog: 0 };
  const reports = defineActor(import.meta.url, FieldReportsProtocol, {
    config: z.strictObject({}),
    setup: () => null,
    receive: {
      record: () => ({ sequence: 1 }),
      connect: () => ({ pending: 0 }),
      disconnect: () => ({ pending: 0 }),
      endRun() {
        told.push("endRun");
        if (failing) throw new EsperError("WAL_FULL", "no room");
        return { closed: 1 };
      },
      status: () => ({ ...status, windows: 0, connected: false }),
    },
  });
  const { system } = await startInline(
    supervisor({
      children: {
        reports: actor(reports, { thread: "durable" }),
        weatherlight: actor(weatherlight, { thread: "main", config: () => ({ host }) }),
      },
    }),
  );
  const result = { outcome } as RunResult;
  await system
    .ref(WeatherlightProtocol)
    .call("finished", { incarnation, result }, { deadlineMs: 5_000 });
  return told;
}

it("closes the observation windows of a run that is over, and then ends it", async () => {
  expect(await finish("completed")).toEqual(["endRun", "finished: completed"]);
  expect(await finish("target-reached")).toEqual(["endRun", "finished: target-reached"]);
});

it("leaves them open when the run may be resumed", async () => {
  expect(await finish("stopped")).toEqual(["finished: stopped"]);
});

it("ends the run also when they could not be closed", async () => {
  expect(await finish("completed", 1, true)).toEqual(["endRun", "finished: completed"]);
});

it("does nothing for an earlier incarnation", async () => {
  expect(await finish("completed", 2)).toEqual([]);
});
