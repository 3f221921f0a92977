import { describe, expect, it } from "vitest";
import type { TelemetryBatch } from "../../src/protocols/actors/durable.ts";
import {
  collector,
  StoreProtocol,
  store,
  WorkProtocol,
  work,
} from "../fixtures/actors/thread-actors.mjs";
import { until } from "../unit/runtime/support.ts";
import { actor, startThreads, supervisor } from "./built.ts";

describe("a collector that is killed again and again", () => {
  it("loses no event of a producer that lives", async () => {
    const { system } = await startThreads(
      supervisor({
        intensity: 100,
        children: {
          store: actor(store, { thread: "main" }),
          nissa: actor(
            { ...collector, supervision: { ...collector.supervision, intensity: 100 } },
            { thread: "durable" },
          ),
          a: actor(work, { thread: "left" }),
        },
      }),
      { telemetry: { actor: "nissa" } },
    );
    const ref = system.ref(WorkProtocol, "a");
    const [rounds, perRound] = [12, 50];
    for (let round = 0; round < rounds; round++) {
      const order = { from: round * perRound, events: perRound };
      await ref.call("emit", order, { deadlineMs: 5_000 });
      if (round % 4 !== 1) continue;
      const { restarts } = system;
      system.kill("nissa");
      await until(() => system.restarts > restarts, 8_000);
    }
    const kept = async (): Promise<TelemetryBatch[]> =>
      system.ref(StoreProtocol, "store").call("kept", null, { deadlineMs: 1_000 });
    const namedEvents = async (name: string) =>
      (await kept()).flatMap((batch) => batch.events).filter((event) => event.name === name);
    let seen: unknown[] = [];
    let exits = 0;
    const endsAt = performance.now() + 10_000;
    while ((seen.length < rounds * perRound || exits < 3) && performance.now() < endsAt) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      seen = (await namedEvents("test.event")).map(({ attributes }) => attributes["index"]);
      exits = (await namedEvents("runtime.thread_exit")).length;
    }
    expect([...seen].sort((x, y) => Number(x) - Number(y))).toEqual(
      Array.from({ length: rounds * perRound }, (_, index) => index),
    );
    expect(exits).toBe(3);
  });
});
