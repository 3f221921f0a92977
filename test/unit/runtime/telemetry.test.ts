import { describe, expect, it } from "vitest";
import { z } from "zod";
import { NissaProtocol, type TelemetryBatch } from "../../../src/protocols/actors/durable.ts";
import { EsperError } from "../../../src/protocols/errors.ts";
import type { TelemetryEvent } from "../../../src/protocols/leyline/telemetry.ts";
import { defineActor } from "../../../src/runtime/actor.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { Histogram, SourceMeter } from "../../../src/runtime/telemetry/meter.ts";
import { Outbox } from "../../../src/runtime/telemetry/outbox.ts";
import { actor, supervisor } from "../../../src/runtime/topology.ts";
import { createMemory, ProbeProtocol, probe } from "../../fixtures/actors/probe.ts";
import { rejection, startInline, until } from "./support.ts";

const event = (index: number, level: TelemetryEvent["level"] = "INFO"): TelemetryEvent => ({
  ...{ name: `event-${index}`, level, source: "test", timeMs: 0, attributes: { index } },
});

describe("a meter", () => {
  it("adds up counters per set of attributes, in any order of keys", () => {
    const meter = new SourceMeter("actor");
    meter.count("hits", { a: 1, b: 2 });
    meter.count("hits", { b: 2, a: 1 }, 4);
    meter.count("hits", { a: 2, b: 2 });
    expect(meter.collect().map(({ value, source }) => [value, source])).toEqual([
      [5, "actor"],
      [1, "actor"],
    ]);
  });

  it("collects only what changed", () => {
    const meter = new SourceMeter("actor");
    meter.gauge("depth", 0);
    expect(meter.collect()).toHaveLength(1);
    meter.gauge("depth", 0);
    expect(meter.collect()).toHaveLength(0);
    meter.gauge("depth", 3);
    expect(meter.collect()).toMatchObject([{ kind: "gauge", value: 3 }]);
  });

  it("gives quantiles within 2 % over nine orders of magnitude", () => {
    for (const scale of [1e-6, 1, 1e3]) {
      const histogram = new Histogram();
      for (let value = 1; value <= 1_000; value++) histogram.observe(value * scale);
      for (const [fraction, exact] of [
        [0.5, 500],
        [0.95, 950],
        [0.99, 990],
      ] as const) {
        const error = histogram.quantile(fraction) / (exact * scale) - 1;
        expect(Math.abs(error)).toBeLessThan(0.025);
      }
      expect(histogram.quantile(1)).toBeLessThanOrEqual(1_000 * scale);
    }
  });

  it("carries the quantiles of a histogram in its point", () => {
    const meter = new SourceMeter("actor");
    for (const value of [1, 2, 3]) meter.observe("took_ms", value, { step: "x" });
    const [point] = meter.collect();
    expect(point).toMatchObject({ kind: "histogram", value: 2 });
    expect(point?.attributes).toMatchObject({ step: "x", count: 3, max: 3 });
    expect(point?.attributes["p50"]).toBeCloseTo(2, 1);
  });

  it("refuses endless series and values that are no numbers, and counts them", () => {
    const meter = new SourceMeter("actor");
    for (let index = 0; index < 1_100; index++) meter.count("c", { index });
    meter.observe("took_ms", Number.NaN);
    const points = meter.collect();
    expect(points).toHaveLength(1_025);
    const refused = points.find(({ name }) => name === "runtime.metric_points_refused_total");
    expect(refused?.value).toBe(1_100 - 1_024 + 1);
  });

  it("shows a gauge that is not a number", () => {
    const meter = new SourceMeter("actor");
    meter.gauge("loss", 1);
    meter.gauge("loss", Number.NaN);
    expect(meter.collect()[0]?.value).toBeNaN();
  });
});

describe("an outbox", () => {
  function outbox(send: (batch: TelemetryBatch) => Promise<unknown>) {
    const dropped: [number, string][] = [];
    const onDropped = (count: number, reason: string) => dropped.push([count, reason]);
    const box = new Outbox({ source: "s", clock: systemClock, send, onDropped });
    return { box, dropped };
  }

  it("sends at once, in order, what was emitted in one turn in one batch", async () => {
    const sent: TelemetryBatch[] = [];
    const { box } = outbox(async (batch) => sent.push(batch));
    for (let index = 0; index < 600; index++) box.push(event(index));
    expect(await box.flush(1_000)).toBe(0);
    expect(sent.map(({ sequence, events }) => [sequence, events.length])).toEqual([
      [1, 256],
      [2, 256],
      [3, 88],
    ]);
    expect(sent.flatMap(({ events }) => events.map(({ name }) => name))[599]).toBe("event-599");
  });

  it("keeps a batch until it is acknowledged, and repeats it unchanged", async () => {
    const seen: TelemetryBatch[] = [];
    const { box, dropped } = outbox(async (batch) => {
      seen.push(batch);
      if (seen.length < 4) throw new EsperError("ACTOR_RESTARTING", "away");
    });
    box.push(event(1));
    expect(await box.flush(3_000)).toBe(0);
    expect(seen).toHaveLength(4);
    expect(new Set(seen.map((batch) => JSON.stringify(batch))).size).toBe(1);
    expect(dropped).toEqual([]);
  });

  it("gives up a batch on which the collector fails twice, and says so", async () => {
    const seen: number[] = [];
    const { box, dropped } = outbox(async ({ sequence }) => {
      seen.push(sequence);
      if (sequence === 1) throw new EsperError("HANDLER_FAILED", "poison");
    });
    box.push(event(1));
    await until(() => seen.length === 1);
    box.push(event(2));
    expect(await box.flush(3_000)).toBe(0);
    expect(seen).toEqual([1, 1, 2]);
    expect(dropped).toEqual([[1, "refused"]]);
  });

  it("drops the oldest INFO when full, keeps what matters more, and counts", async () => {
    const never = new Promise(() => {});
    const first: TelemetryBatch[] = [];
    const { box, dropped } = outbox((batch) => {
      first.push(batch);
      return never;
    });
    box.push(event(0, "WARNING"));
    await until(() => first.length === 1);
    box.push(event(1, "CRITICAL"));
    for (let index = 2; index < 4_096 + 10; index++) box.push(event(index));
    expect(box.size).toBe(4_096);
    expect(dropped).toHaveLength(10);
    expect(await box.flush(10)).toBe(4_096);
    expect(box.close()).toBe(4_096);
  });

  it("sends the newest point of a metric only", async () => {
    const sent: TelemetryBatch[] = [];
    const { box } = outbox(async (batch) => sent.push(batch));
    const meter = new SourceMeter("actor");
    meter.count("hits");
    meter.observe("took_ms", 1);
    box.record(meter.collect());
    meter.count("hits");
    meter.observe("took_ms", 9);
    box.record(meter.collect());
    await box.flush(1_000);
    expect(sent.flatMap(({ metrics }) => metrics.map(({ value }) => value))).toEqual([2, 5]);
  });
});

describe("telemetry of a system", () => {
  function collector(batches: TelemetryBatch[]) {
    return defineActor(import.meta.url, NissaProtocol, {
      config: z.object({}),
      setup: () => null,
      receive: {
        ingest(_state, batch) {
          batches.push(batch);
          return { acknowledged: batch.sequence };
        },
        record: () => ({ acknowledged: 0 }),
        rewind: () => ({ removed: 0 }),
        summary: () => ({ eventsByName: {}, eventsByLevel: {}, rows: 0 }),
      },
    });
  }

  it("brings every thread's events and metrics to the collector before it stops", async () => {
    const batches: TelemetryBatch[] = [];
    const tree = supervisor({
      children: {
        nissa: actor(collector(batches), { thread: "durable" }),
        one: actor(probe(createMemory()), { thread: "side" }),
      },
    });
    const { system } = await startInline(tree, { telemetry: { actor: "nissa" } });
    const ref = system.ref(ProbeProtocol, "one");
    await rejection(ref.call("fail", { how: "bug" }, { deadlineMs: 500 }));
    await ref.call("echo", 1, { deadlineMs: 500 });
    system.ref(ProbeProtocol, "nobody").cast("note", 1);
    system.kill("one");
    await until(() => system.restarts === 2);
    await system.stop({ graceMs: 3_000 });
    const events = batches.flatMap((batch) => batch.events);
    expect(events.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        "supervisor.actor_crashed",
        "supervisor.restarted",
        "runtime.thread_exit",
        "runtime.dead_letter",
      ]),
    );
    const newest = new Map(
      batches.flatMap(({ metrics }) =>
        metrics.map((point) => [`${point.name} ${point.attributes["actor"]}`, point.value]),
      ),
    );
    expect(newest.get("runtime.messages_total one")).toBe(1);
    expect(newest.get("runtime.restarts_total one")).toBe(2);
    expect(newest.get("runtime.mailbox_depth one")).toBe(0);
    expect(newest.get("runtime.call_ms one")).toBeGreaterThan(0);
    const sources = new Set(batches.map(({ source }) => source));
    expect([...sources].sort()).toEqual(["1.durable.1", "1.main.1", "1.side.2"]);
  });

  it("refuses a collector that is not in the tree", async () => {
    const tree = supervisor({ children: { one: actor(probe(), { thread: "main" }) } });
    const error = await rejection(startInline(tree, { telemetry: { actor: "nissa" } }));
    expect(error.message).toContain("nissa is not in the tree");
  });
});
