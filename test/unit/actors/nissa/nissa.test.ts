import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Collector } from "../../../../src/actors/nissa/collector.ts";
import { nissa } from "../../../../src/actors/nissa/nissa.actor.ts";
import type { TelemetryBatch } from "../../../../src/protocols/actors/durable.ts";
import { EsperError } from "../../../../src/protocols/errors.ts";
import { callInfo, testContext } from "../../../fixtures/context.ts";
import { MemoryFiles } from "../../../fixtures/memory-files.ts";

const directory = "/run";
const METRICS = "/run/metrics.jsonl";

const batch = (source: string, sequence: number): TelemetryBatch => ({
  source,
  sequence,
  events: [
    {
      name: "seed.stage",
      level: "INFO",
      source: "kasmina",
      timeMs: 5,
      attributes: { b: sequence, a: source },
    },
  ],
  metrics: [{ name: "x", kind: "counter", source: "kasmina", value: sequence, attributes: {} }],
});

const rows = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => ({
    step: from + index,
    loss: 1 / (from + index),
    time_ms_wall: 9,
  }));

const lines = (files: MemoryFiles, name: string): Record<string, unknown>[] => {
  const text = new TextDecoder().decode(files.bytes(`${directory}/${name}.jsonl`));
  expect(text === "" || text.endsWith("\n")).toBe(true);
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
};

const steps = (files: MemoryFiles) => lines(files, "metrics").map(({ step }) => step);

describe("the collector", () => {
  it("writes one line per item with keys in a stable order", async () => {
    const files = new MemoryFiles();
    const collector = await Collector.open(files, directory);
    await collector.ingest(batch("t1", 1), 77);
    await collector.record(1, 1, [{ step: 1, z: 1, a: Number.NaN }]);
    const text = (name: string) => new TextDecoder().decode(files.bytes(`/run/${name}.jsonl`));
    expect(text("events")).toBe(
      '{"attributes":{"a":"t1","b":1},"level":"INFO","name":"seed.stage",' +
        '"source":"kasmina","time_ms_wall":5}\n',
    );
    expect(text("runtime")).toBe(
      '{"attributes":{},"kind":"counter","name":"x","source":"kasmina",' +
        '"time_ms_wall":77,"value":1}\n',
    );
    expect(text("metrics")).toBe('{"a":null,"step":1,"z":1}\n');
  });

  it("takes a batch that is sent again once, also after a restart", async () => {
    let files = new MemoryFiles();
    let collector = await Collector.open(files, directory);
    for (let start = 0; start < 3; start++) {
      // The answer is the last batch taken, so a sender that repeats itself catches up.
      expect(await collector.ingest(batch("t1", 1), 0)).toBe(start === 0 ? 1 : 2);
      expect(await collector.ingest(batch("t2", 1), 0)).toBe(1);
      expect(await collector.ingest(batch("t1", 2), 0)).toBe(2);
      expect(await collector.ingest(batch("t1", 1), 0)).toBe(2);
      expect(await collector.record(1, 1, rows(1, 2))).toBe(start === 0 ? 1 : 2);
      expect(await collector.record(1, 2, rows(3, 4))).toBe(2);
      files = files.killed();
      collector = await Collector.open(files, directory);
    }
    expect(lines(files, "events")).toHaveLength(3);
    expect(steps(files)).toEqual([1, 2, 3, 4]);
    expect(collector.summary()).toEqual({
      eventsByName: { "seed.stage": 3 },
      eventsByLevel: { INFO: 3 },
      rows: 4,
    });
  });

  it("has acknowledged rows on disk after a power failure", async () => {
    const files = new MemoryFiles();
    const collector = await Collector.open(files, directory);
    await collector.ingest(batch("t1", 1), 0);
    await collector.record(1, 1, rows(1, 3));
    const after = files.crashed();
    const again = await Collector.open(after, directory);
    expect(steps(after)).toEqual([1, 2, 3]);
    expect(await again.record(1, 1, rows(1, 3))).toBe(1);
    expect(steps(after)).toEqual([1, 2, 3]);
    // Telemetry is not synced per batch: what is gone is said, not hidden.
    expect(again.repairs.map(({ file }) => file)).toEqual([
      "/run/events.jsonl",
      "/run/runtime.jsonl",
    ]);
  });

  it("goes on writing to the right file when a rewind could not reopen it", async () => {
    const files = new MemoryFiles();
    const collector = await Collector.open(files, directory);
    await collector.record(1, 1, rows(1, 10));
    files.fault = (operation, path) => (operation === "open" && path === METRICS ? "EMFILE" : null);
    await expect(collector.rewind(6, 2)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    files.fault = () => null;
    expect(await collector.record(2, 1, rows(7, 8))).toBe(1);
    expect(steps(files)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    await Collector.open(files.killed(), directory);
    expect(steps(files)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it("forgets rows of a future that was given up, once per incarnation", async () => {
    const files = new MemoryFiles();
    const collector = await Collector.open(files, directory);
    await collector.record(1, 1, rows(1, 10));
    expect(await collector.rewind(6, 2)).toBe(4);
    expect(await collector.record(1, 2, rows(11, 12))).toBe(2);
    expect(await collector.record(2, 1, rows(7, 8))).toBe(1);
    expect(await collector.rewind(6, 2)).toBe(0);
    expect(steps(files)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    const again = await Collector.open(files.killed(), directory);
    expect(again.summary().rows).toBe(8);
    expect(await again.rewind(6, 2)).toBe(0);
    expect(await again.rewind(0, 3)).toBe(8);
  });

  it("cuts off a half-written batch, and takes it when it comes again", async () => {
    const files = new MemoryFiles();
    const collector = await Collector.open(files, directory);
    await collector.record(1, 1, rows(1, 2));
    const whole = files.bytes(METRICS);
    for (const extra of ['{"step":3}\n{"st', '{"step":3}\n', "x"]) {
      const killed = files.killed();
      killed.putBytes(METRICS, Buffer.concat([whole, Buffer.from(extra)]));
      const again = await Collector.open(killed, directory);
      expect(await again.record(1, 2, rows(3, 4))).toBe(2);
      expect(steps(killed)).toEqual([1, 2, 3, 4]);
    }
  });

  it("keeps every whole line when its journal is lost or damaged, and says so", async () => {
    const files = new MemoryFiles();
    const collector = await Collector.open(files, directory);
    await collector.record(1, 1, rows(1, 2));
    const lost = files.killed();
    await lost.remove("/run/nissa.journal");
    await Collector.open(lost, directory);
    expect(steps(lost)).toEqual([1, 2]);
    const damaged = files.killed();
    damaged.putBytes("/run/nissa.journal", new TextEncoder().encode('{"kind":"?"}\n'));
    const again = await Collector.open(damaged, directory);
    expect(steps(damaged)).toEqual([1, 2]);
    expect(again.repairs).toMatchObject([{ file: "/run/nissa.journal" }]);
  });

  it("answers a full disk with STORAGE_FULL and nothing half applied", async () => {
    const files = new MemoryFiles();
    const collector = await Collector.open(files, directory);
    await collector.record(1, 1, rows(1, 2));
    for (const full of [METRICS, "/run/nissa.journal", "/run/events.jsonl"]) {
      files.fault = (operation, path) => (operation === "write" && path === full ? "ENOSPC" : null);
      const work =
        full === "/run/events.jsonl"
          ? collector.ingest(batch("t", 1), 0)
          : collector.record(1, 2, rows(3, 4));
      await expect(work).rejects.toMatchObject({ code: "STORAGE_FULL" });
      files.fault = () => null;
      expect(steps(files)).toEqual([1, 2]);
      expect(lines(files, "events")).toEqual([]);
    }
    expect(await collector.record(1, 2, rows(3, 4))).toBe(2);
    expect(steps(files)).toEqual([1, 2, 3, 4]);
  });

  it("loses and repeats nothing when operation i fails, for every i", async () => {
    let failing = 1;
    while (await survives(failing)) failing++;
    expect(failing).toBeGreaterThan(30);
  });

  it("folds its journal so that it stays small, and forgets no sender by it", async () => {
    const files = new MemoryFiles();
    const collector = await Collector.open(files, directory);
    const empty = (sequence: number) => ({ source: "t", sequence, events: [], metrics: [] });
    const names = Array.from({ length: 900 }, (_, index) => `event.with.a.long.name.${index}`);
    const [event] = batch("t", 1).events;
    const events = names.map((name) => ({ ...event!, name }));
    for (let sequence = 1; sequence <= 60; sequence++) {
      await collector.ingest({ ...empty(sequence), events }, 0);
    }
    expect(files.bytes("/run/nissa.journal").byteLength).toBeLessThan(1_100_000);
    const again = await Collector.open(files.killed(), directory);
    expect(await again.ingest(empty(60), 0)).toBe(60);
    expect(again.summary().eventsByLevel).toEqual({ INFO: 60 * 900 });
  });
});

/** Checks one run of the scenario; false when it ended before the operation that was to fail. */
async function survives(failing: number): Promise<boolean> {
  const files = new MemoryFiles();
  const acked = { first: false, second: false };
  files.fault = (_operation, _path, count) => (count >= failing ? "EIO" : null);
  const opened: Collector[] = [];
  const error = await scenario(files, acked, undefined, opened).catch((thrown: unknown) => thrown);
  if (error !== null && !(error instanceof EsperError)) throw error;
  files.fault = () => null;
  const seen = `failing at ${failing}`;
  if (opened.length === 0) expect(files.openHandles, seen).toBe(0);
  for (const disk of [files.killed(), files.crashed()]) {
    const collector = await Collector.open(disk, directory);
    const found = steps(disk);
    if (acked.first) expect(found.slice(0, 3), seen).toEqual([1, 2, 3]);
    if (acked.second) expect(found, seen).toEqual([1, 2, 3, 4, 5]);
    // Whatever was answered, sending everything again ends in the same rows.
    await scenario(disk, { first: false, second: false }, collector);
    expect(steps(disk), seen).toEqual([1, 2, 3, 4, 5]);
    const again = await Collector.open(disk.killed(), directory);
    expect(again.summary().rows, seen).toBe(5);
  }
  return error !== null;
}

/** Three rows and two too many; a rewind; two rows of the next incarnation. */
async function scenario(
  files: MemoryFiles,
  acked: { first: boolean; second: boolean },
  given?: Collector,
  opened: Collector[] = [],
): Promise<null> {
  const collector = given ?? (await Collector.open(files, directory));
  opened.push(collector);
  await collector.ingest(batch("t", 1), 0);
  await collector.record(1, 1, rows(1, 3));
  acked.first = true;
  await collector.record(1, 2, rows(4, 9));
  await collector.rewind(3, 2);
  await collector.record(2, 1, rows(4, 5));
  acked.second = true;
  return null;
}

describe("the actor", () => {
  it("answers by its protocol and closes its files", async () => {
    const real = await mkdtemp(join(tmpdir(), "esper-nissa-"));
    const { context } = testContext(nissa, { directory: real });
    const state = await nissa.setup(context);
    const { ingest, record, rewind, summary } = nissa.receive;
    expect(await ingest(state, batch("t", 1), context, callInfo)).toEqual({ acknowledged: 1 });
    const three = { incarnation: 1, batch: 1, rows: rows(1, 3) };
    expect(await record(state, three, context, callInfo)).toEqual({ acknowledged: 1 });
    const back = { step: 1, incarnation: 2 };
    expect(await rewind(state, back, context, callInfo)).toEqual({ removed: 2 });
    expect(await summary(state, null, context, callInfo)).toMatchObject({ rows: 1 });
    await nissa.stop?.(state, context);
    const text = await readFile(join(real, "metrics.jsonl"), "utf8");
    expect(text).toBe('{"loss":1,"step":1,"time_ms_wall":9}\n');
    await rm(real, { recursive: true });
  });
});
