import { describe, expect, it } from "vitest";
import type { WalEntry } from "../../../../src/protocols/actors/durable.ts";
import { type WalRig, walRig } from "../../../fixtures/wal-rig.ts";
import { rejection } from "../../runtime/support.ts";

const eventsOf = async (rig: WalRig, name: string) =>
  (await rig.telemetry()).events.filter((event) => event.name === name);

const writeFails = (rig: WalRig, code: string | null) => {
  rig.files.fault = (operation) => (operation === "write" ? code : null);
};

describe("the WAL writer", () => {
  it("appends, and finds its records again after a stop and after a crash", async () => {
    const first = await walRig();
    expect(await first.append("a")).toEqual({ sequences: [1] });
    expect(await first.append("b")).toEqual({ sequences: [2] });
    const second = await walRig({ files: first.files.crashed() });
    expect(await second.status()).toMatchObject({ records: 2, recovered: 2, tornBytes: 0 });
    expect(await second.append("c")).toEqual({ sequences: [3] });
    await second.system.stop({ graceMs: 1_000 });
    expect(await (await walRig({ files: second.files.killed() })).status()).toMatchObject({
      recovered: 3,
      degraded: false,
    });
  });

  it("takes several records at once, and those it knows only once", async () => {
    const rig = await walRig();
    expect(await rig.append("a", "b")).toEqual({ sequences: [1, 2] });
    expect(await rig.append("b", "c")).toEqual({ sequences: [2, 3] });
    const again = await walRig({ files: rig.files.crashed() });
    expect(await again.append("c", "a", "d")).toEqual({ sequences: [3, 1, 4] });
  });

  it("writes what many ask for at once in one flush, and answers each", async () => {
    const rig = await walRig();
    await rig.append("first");
    const before = rig.files.trace.filter((line) => line.startsWith("fsync")).length;
    const ids = Array.from({ length: 64 }, (_, index) => `r${index}`);
    const answers = await Promise.all(ids.map((id) => rig.append(id)));
    expect(answers.map(({ sequences }) => sequences[0])).toEqual(ids.map((_, index) => 2 + index));
    const flushes = rig.files.trace.filter((line) => line.startsWith("fsync")).length - before;
    // The first may be on its way alone before the others are there.
    expect(flushes).toBeLessThanOrEqual(3);
  });

  it("takes one record like several: in order, once, with what else it says", async () => {
    const rig = await walRig();
    const one = (entry: Partial<WalEntry>) => {
      const { recordId, timeMs, bytes, lane, subject, notes } = rig.recordOf(entry);
      const said = Object.entries({ lane, subject, notes }).filter(([, value]) => value);
      const more = said.length === 0 ? {} : { more: Object.fromEntries(said) };
      return rig.ref.call("appendOne", { recordId, timeMs, bytes, ...more }, rig.deadline);
    };
    const notes = [{ key: "k", bytes: Uint8Array.of(7) }];
    const answers = await Promise.all([
      one({ recordId: "a" }),
      rig.append("b"),
      one({ recordId: "c", lane: "bulk", subject: "s", notes }),
      one({ recordId: "a" }),
      one({ recordId: "b" }),
    ]);
    expect(answers).toEqual([
      { sequence: 1 },
      { sequences: [2] },
      { sequence: 3 },
      { sequence: 1 },
      { sequence: 2 },
    ]);
    expect(await rejection(one({ recordId: "d", timeMs: 0 }))).toMatchObject({
      code: "RECORD_WITHOUT_TIME",
    });
    const again = await walRig({ files: rig.files.crashed() });
    expect(await again.next(9)).toMatchObject([{ recordId: "c", lane: "bulk", subject: "s" }]);
    expect([...(await again.ref.call("notes", { prefix: "" }, again.deadline))]).toEqual([
      ["k", Uint8Array.of(7)],
    ]);
    expect(await again.append("a")).toEqual({ sequences: [1] });
  });

  it("measures the groups that it writes, not each record", async () => {
    const rig = await walRig();
    await Promise.all(Array.from({ length: 50 }, (_, index) => rig.append(`r${index}`)));
    const { flushes } = await rig.status();
    expect(flushes).toBeLessThan(10);
    const { metrics } = await rig.telemetry();
    const waits = metrics.filter(({ name }) => name === "wal.append_ms").at(-1);
    expect(waits?.attributes["count"]).toBe(flushes);
  });

  it("refuses a record without a time or an id, and says so", async () => {
    const rig = await walRig();
    expect(await rejection(rig.entry({ recordId: "a", timeMs: 0 }))).toMatchObject({
      code: "RECORD_WITHOUT_TIME",
    });
    expect(await rejection(rig.append(""))).toMatchObject({ code: "FRAME_MALFORMED" });
    expect(await eventsOf(rig, "wal.append_failed")).toMatchObject([
      { level: "ERROR", attributes: { code: "RECORD_WITHOUT_TIME" } },
      { level: "ERROR", attributes: { code: "FRAME_MALFORMED" } },
    ]);
  });

  it("does not start on a damaged log when strict, and salvages it when not", async () => {
    const first = await walRig();
    for (const id of ["a", "b", "c"]) await first.append(id);
    await first.system.stop({ graceMs: 1_000 });
    const files = first.files.killed();
    const [path] = [...files.entries.keys()].filter((name) => name.endsWith(".wal"));
    const bytes = files.bytes(path as string).slice();
    bytes[100] = (bytes[100] as number) ^ 1;
    files.putBytes(path as string, bytes);
    expect(await rejection(walRig({ files: files.killed() }))).toMatchObject({
      code: "WAL_CORRUPT",
    });
    const salvaged = await walRig({ files, strict: false });
    expect((await salvaged.status()).recovered).toBeLessThan(3);
    expect(await eventsOf(salvaged, "wal.salvaged")).toMatchObject([{ level: "CRITICAL" }]);
  });

  it("does not start on the log of another run", async () => {
    const first = await walRig({ runId: "run-1" });
    await first.append("a");
    const files = first.files.crashed();
    expect(await rejection(walRig({ files, runId: "run-2" }))).toMatchObject({
      code: "WAL_FOREIGN",
    });
    expect(await (await walRig({ files, runId: "run-1" })).status()).toMatchObject({ records: 1 });
  });
});

describe("the outbox of the WAL writer", () => {
  it("hands out by lane, and nothing again after an acknowledgement or a restart", async () => {
    const rig = await walRig();
    await rig.entry({ recordId: "b", lane: "bulk", subject: "report" });
    await rig.entry({ recordId: "e", lane: "emergency" });
    await rig.append("plain");
    expect(await rig.next(9)).toMatchObject([
      { recordId: "e", lane: "emergency", subject: "", attempts: 0 },
      { recordId: "b", lane: "bulk", subject: "report", bytes: Uint8Array.of(1, 2) },
    ]);
    expect(await rig.ref.call("acknowledge", { ids: ["e", "x"] }, rig.deadline)).toEqual({
      acknowledged: 1,
    });
    const again = await walRig({ files: rig.files.crashed() });
    expect((await again.next(9)).map(({ recordId }) => recordId)).toEqual(["b"]);
    expect((await again.status()).outbox).toMatchObject({
      lanes: { emergency: { acknowledged: 1 }, bulk: { records: 1 } },
    });
  });

  it("follows the rules of its lanes, and tells what it gave up", async () => {
    const lanes = { bulk: { recordsMax: 2, retriesMax: 0, whenFull: "drop-oldest" } };
    const rig = await walRig({ lanes });
    for (const recordId of ["a", "b", "c"]) await rig.entry({ recordId, lane: "bulk" });
    const { records, abandoned } = await rig.ref.call("next", { limit: 1 }, rig.deadline);
    expect(records).toMatchObject([{ recordId: "b" }]);
    expect(abandoned).toEqual([{ recordId: "a", lane: "bulk", why: "no room for more" }]);
    const failure = { recordId: "b", why: "no" };
    expect(await rig.ref.call("fail", failure, rig.deadline)).toEqual({
      outcome: "dead",
      attempts: 1,
    });
    expect((await rig.status()).outbox).toMatchObject({ deadLetters: 2, fill: 0.5 });
  });

  it("keeps notes beside the records", async () => {
    const rig = await walRig();
    const notes = [{ key: "w/1", bytes: Uint8Array.of(7) }];
    await rig.entry({ recordId: "a", notes });
    const again = await walRig({ files: rig.files.crashed() });
    expect(await again.ref.call("notes", { prefix: "w/" }, again.deadline)).toEqual(
      new Map([["w/1", Uint8Array.of(7)]]),
    );
  });
});

describe("a full disk", () => {
  it("is told once, and over without a restart as soon as there is room", async () => {
    const rig = await walRig();
    await rig.append("a");
    writeFails(rig, "ENOSPC");
    for (const id of ["b", "c", "d"]) {
      expect(await rejection(rig.append(id))).toMatchObject({ code: "WAL_FULL" });
    }
    expect(await rig.status()).toMatchObject({ degraded: true, records: 1 });
    writeFails(rig, null);
    // Nobody appends: it looks by itself.
    await expect.poll(async () => (await rig.status()).degraded, { timeout: 3_000 }).toBe(false);
    expect(await rig.append("b")).toMatchObject({ sequences: [expect.any(Number)] });
    expect(rig.system.restarts).toBe(0);
    const { events, metrics } = await rig.telemetry();
    expect(events.filter(({ name }) => name === "wal.degraded")).toMatchObject([
      { level: "CRITICAL", attributes: { code: "WAL_FULL" } },
    ]);
    expect(events.filter(({ name }) => name === "wal.recovered")).toMatchObject([
      { level: "INFO" },
    ]);
    expect(events.map(({ name }) => name)).not.toContain("wal.append_failed");
    const gauge = metrics.filter(({ name }) => name === "wal.degraded").map(({ value }) => value);
    expect(gauge.at(-1)).toBe(0);
  });

  it("is over with the first append that finds room", async () => {
    const rig = await walRig();
    writeFails(rig, "ENOSPC");
    await rejection(rig.append("a"));
    writeFails(rig, null);
    await rig.append("a");
    expect(await rig.status()).toMatchObject({ degraded: false });
  });
});

describe("a log that can no longer be trusted", () => {
  it("crashes the writer, whose restart verifies it and goes on", async () => {
    const rig = await walRig();
    await rig.append("a");
    let failures = 1;
    rig.files.fault = (operation) => (operation === "fsync" && failures-- > 0 ? "EIO" : null);
    const ends = await Promise.allSettled([rig.append("b"), rig.append("c")]);
    const codes = ends.map((one) => (one.status === "rejected" ? one.reason.code : "value"));
    expect(codes[0]).toBe("WAL_POISONED");
    // In the same group, or waiting in the mailbox and then written by the next life.
    expect(["WAL_POISONED", "ACTOR_RESTARTING", "value"]).toContain(codes[1]);
    const retried = await rig.ref.call(
      "append",
      { records: [rig.recordOf({ recordId: "d" })] },
      { ...rig.deadline, onRestart: "retry" },
    );
    expect(retried.sequences).toHaveLength(1);
    expect(rig.system.restarts).toBe(1);
    // What was not acknowledged is there or not, but "a" and "d" are.
    const again = await walRig({ files: rig.files.crashed() });
    expect(await again.append("a")).toEqual({ sequences: [1] });
    expect(await again.append("d")).toEqual({ sequences: retried.sequences });
  });

  it("ends the writer when its disk stays broken", async () => {
    const rig = await walRig();
    rig.files.fault = () => "EIO";
    await rejection(rig.append("a"));
    const end = await rig.system.finished;
    expect(end).toMatchObject({ outcome: "gave-up", error: { code: "SUPERVISOR_GAVE_UP" } });
  });
});
