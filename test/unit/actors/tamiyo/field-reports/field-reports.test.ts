import { describe, expect, it } from "vitest";
import { encodeFieldReport } from "../../../../../src/protocols/leyline/codec.ts";
import {
  decisionAt,
  type ReportsRig,
  received,
  reportOf,
  reportsRig,
} from "../../../../fixtures/field-reports.ts";
import { rejection } from "../../../runtime/support.ts";

const RETRIES = { bulk: { retriesMax: 3, backoffMs: 1, backoffFactor: 2 } };

const published = (rig: ReportsRig, count: number) =>
  expect
    .poll(async () => (await rig.counts()).published, { timeout: 5_000, interval: 20 })
    .toBe(count);

const unique = (ids: readonly string[]): string[] => [...new Set(ids)];

describe("a field report", () => {
  it("is on disk before it is confirmed, and waits while nobody takes it", async () => {
    const rig = await reportsRig();
    expect(await rig.record(decisionAt(1))).toEqual({ sequence: 1 });
    expect(await rig.counts()).toEqual({
      ...{ published: 0, retries: 0, dropped: 0, pending: 1, retryBacklog: 0 },
      ...{ windows: 0, connected: false },
    });
    const again = await reportsRig({ files: rig.files.crashed() });
    expect(await again.counts()).toMatchObject({ published: 0, pending: 1 });
    expect(await again.record(decisionAt(1))).toEqual({ sequence: 1 });
    expect(rig.receiver.deliveries).toEqual([]);
  });

  it("counts as published when it was acknowledged, in order and over restarts", async () => {
    const rig = await reportsRig();
    for (const step of [1, 2, 3]) await rig.record(decisionAt(step));
    expect(await rig.connect()).toEqual({ pending: 3 });
    await published(rig, 3);
    const ids = [1, 2, 3].map((step) => `report/run-1/1/${step}`);
    expect(rig.receiver.deliveries).toEqual(ids);
    const again = await reportsRig({ files: rig.files.crashed() });
    await again.connect();
    await again.record(decisionAt(4));
    await published(again, 4);
    expect(again.receiver.deliveries).toEqual(["report/run-1/1/4"]);
  });

  it("without a time, or that is none, is refused and nothing is kept", async () => {
    const rig = await reportsRig();
    const refused = async (report: Uint8Array) =>
      rejection(
        rig.reports.call(
          "record",
          { report, decision: true, incarnation: 1, critical: false },
          rig.deadline,
        ),
      );
    const timeless = { ...reportOf(), issuedAtMs: 0 };
    expect(await refused(encodeFieldReport(timeless))).toMatchObject({ code: "FRAME_MALFORMED" });
    expect(await refused(Uint8Array.of(1, 2, 3))).toMatchObject({ code: "FRAME_MALFORMED" });
    expect(await rig.counts()).toMatchObject({ pending: 0 });
    expect(rig.system.restarts).toBe(0);
  });

  it("is refused while the disk is full, and taken when there is room", async () => {
    const rig = await reportsRig({ observationWindow: 3 });
    rig.files.fault = (operation) => (operation === "write" ? "ENOSPC" : null);
    const report = decisionAt(1, { commandId: "c" });
    expect(await rejection(rig.record(report))).toMatchObject({ code: "WAL_FULL" });
    expect(await rig.counts()).toMatchObject({ windows: 0, pending: 0 });
    rig.files.fault = () => null;
    await rig.record(report);
    expect(await rig.counts()).toMatchObject({ windows: 1, pending: 1 });
  });
});

describe("a delivery", () => {
  it("that is refused is tried again and at last given up, told each time", async () => {
    const receiver = received(() => ({ acknowledged: false, why: "busy" }));
    const rig = await reportsRig({ receiver, lanes: RETRIES });
    await rig.record(decisionAt(1));
    await rig.connect();
    await expect
      .poll(async () => (await rig.counts()).dropped, { timeout: 6_000, interval: 50 })
      .toBe(1);
    expect(await rig.counts()).toMatchObject({ published: 0, retries: 4, pending: 0 });
    expect(receiver.deliveries).toHaveLength(4);
    const again = await reportsRig({ files: rig.files.crashed() });
    expect(await again.counts()).toMatchObject({ dropped: 1, retries: 4, pending: 0 });
    const { events, metrics } = await rig.telemetry();
    const told = events.filter(({ name }) => name.startsWith("field_report_"));
    expect(told.map(({ name, level }) => [name, level])).toEqual([
      ...Array(3).fill(["field_report_retry", "WARNING"]),
      ["field_report_drop", "WARNING"],
    ]);
    expect(told[0]?.attributes).toMatchObject({ attempts: 1, delay_ms: 2, why: "busy" });
    const gauges = new Map(metrics.map(({ name, value }) => [name, value]));
    expect(gauges.get("tamiyo.field_reports.dropped_total")).toBe(1);
    expect(gauges.get("tamiyo.field_reports.retries_total")).toBe(4);
    expect(gauges.get("tamiyo.field_reports.published_total")).toBe(0);
    expect(gauges.get("tamiyo.field_reports.pending_total")).toBe(0);
    expect(gauges.get("tamiyo.field_reports.retry_backlog_total")).toBe(0);
  });

  it("that would be refused for ever is given up at once", async () => {
    const receiver = received((id) =>
      id.endsWith("/1")
        ? { acknowledged: false, why: "too large", never: true }
        : { acknowledged: true },
    );
    const rig = await reportsRig({ receiver });
    for (const step of [1, 2]) await rig.record(decisionAt(step));
    await rig.connect();
    await published(rig, 1);
    expect(await rig.counts()).toMatchObject({ dropped: 1, retries: 0 });
  });

  it("stops when the receiver is disconnected, and none counts as failed", async () => {
    const rig = await reportsRig();
    await rig.connect();
    expect(await rig.disconnect()).toEqual({ pending: 0 });
    await rig.record(decisionAt(1));
    expect(await rig.counts()).toMatchObject({ pending: 1, retries: 0, connected: false });
    await rig.connect();
    await published(rig, 1);
  });

  it("that was not confirmed before a crash is made again under the same id", async () => {
    for (const killed of ["crashed", "killed"] as const) {
      let release: () => void = () => undefined;
      const stuck = new Promise<void>((resolve) => {
        release = resolve;
      });
      // The third report arrives, and the sender dies before it hears of it.
      const receiver = received(async (_id, delivery) => {
        if (delivery === 3) await stuck;
        return { acknowledged: true };
      });
      const rig = await reportsRig({ receiver });
      for (const step of [1, 2, 3, 4]) await rig.record(decisionAt(step));
      await rig.connect();
      await expect.poll(() => receiver.deliveries.length, { timeout: 3_000 }).toBe(3);
      const after = await reportsRig({ files: rig.files[killed]() });
      await after.connect();
      await published(after, 4);
      release();
      const all = [...receiver.deliveries, ...after.receiver.deliveries];
      expect(unique(all)).toEqual([1, 2, 3, 4].map((step) => `report/run-1/1/${step}`));
      expect(all.filter((id) => id.endsWith("/3"))).toHaveLength(2);
    }
  });
});

describe("five hundred reports and ten crashes", () => {
  it("bring each report to a reader that tells them apart by id, once", async () => {
    let rig = await reportsRig({ lanes: RETRIES });
    const ids: string[] = [];
    const read = new Set<string>();
    let deliveries = 0;
    for (let round = 0; round < 10; round++) {
      const batch = Array.from({ length: 50 }, (_, index) => 50 * round + index);
      const { receiver } = rig;
      await rig.connect();
      await Promise.all(batch.map((step) => rig.record(decisionAt(step))));
      ids.push(...batch.map((step) => `report/run-1/1/${step}`));
      // Killed wherever it happens to be: before a publish, between it and its acknowledgement.
      for (const id of receiver.deliveries) read.add(id);
      deliveries += receiver.deliveries.length;
      rig = await reportsRig({ files: rig.files.crashed(), lanes: RETRIES });
    }
    await rig.connect();
    await published(rig, ids.length);
    for (const id of rig.receiver.deliveries) read.add(id);
    deliveries += rig.receiver.deliveries.length;
    expect([...read].sort()).toEqual([...ids].sort());
    expect(deliveries).toBeGreaterThanOrEqual(ids.length);
    expect(await rig.counts()).toMatchObject({ pending: 0, dropped: 0 });
  });
});

describe("the windows of the field reports", () => {
  it("go on after a crash and close with a report that exists once", async () => {
    let rig = await reportsRig({ observationWindow: 3 });
    await rig.record(decisionAt(1, { commandId: "run-1/1/1" }));
    await rig.record(decisionAt(2));
    rig = await reportsRig({ files: rig.files.crashed(), observationWindow: 3 });
    expect(await rig.counts()).toMatchObject({ windows: 1 });
    await rig.record(decisionAt(2));
    await rig.record(decisionAt(3));
    await rig.record(decisionAt(4));
    expect(await rig.counts()).toMatchObject({ windows: 0, pending: 5 });
    await rig.connect();
    await published(rig, 5);
    expect(rig.receiver.deliveries.at(-1)).toBe("fr-synth-run-1/1/1-1+3");
    const { events } = await rig.telemetry();
    expect(events.find(({ name }) => name === "field_report_synthesised")).toMatchObject({
      level: "INFO",
      attributes: { command_id: "run-1/1/1", outcome: "SUCCESS" },
    });
  });

  it("are closed by the end of the run", async () => {
    const rig = await reportsRig({ observationWindow: 9 });
    await rig.record(decisionAt(1, { commandId: "c" }));
    await rig.record(decisionAt(2));
    expect(await rig.endRun()).toEqual({ closed: 1 });
    expect(await rig.endRun()).toEqual({ closed: 0 });
    const again = await reportsRig({ files: rig.files.crashed(), observationWindow: 9 });
    expect(await again.counts()).toMatchObject({ windows: 0, pending: 3 });
  });

  it("are whole after a crash at every call", async () => {
    const steps = [1, 2, 3, 4, 5];
    const play = async (rig: ReportsRig): Promise<number> => {
      let confirmed = 0;
      for (const step of steps) {
        const commandId = step === 1 ? "c" : "";
        const report = decisionAt(step, { commandId });
        const done = await rig.record(report).then(
          () => true,
          () => false,
        );
        if (!done) break;
        confirmed++;
      }
      return confirmed;
    };
    const whole = await reportsRig({ observationWindow: 3 });
    const before = whole.files.operations;
    await play(whole);
    const calls = whole.files.operations - before;
    expect(calls).toBeGreaterThan(8);
    for (let at = 1; at <= calls; at++) {
      const rig = await reportsRig({ observationWindow: 3 });
      const from = rig.files.operations + at;
      rig.files.fault = (_operation, _path, count) => (count >= from ? "EIO" : null);
      const confirmed = await play(rig);
      const again = await reportsRig({ files: rig.files.crashed(), observationWindow: 3 });
      expect((await again.counts()).pending).toBeGreaterThanOrEqual(confirmed);
      expect(await play(again)).toBe(steps.length);
      expect(await again.counts()).toMatchObject({ windows: 0, pending: steps.length + 1 });
    }
  });
});
