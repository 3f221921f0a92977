/** What an outbox keeps, for how long, and what happens when there is no room. */
import { describe, expect, it } from "vitest";
import { Outbox } from "../../../src/runtime/durable/outbox.ts";
import type { OutboxLog } from "../../../src/runtime/durable/outbox-journal.ts";
import { openOutbox } from "../../fixtures/outbox.ts";
import { rejection } from "../runtime/support.ts";

describe("a full lane", () => {
  const lanes = { bulk: { recordsMax: 4 }, emergency: { bytesMax: 8 } };

  it("refuses, says how full it is, and leaves the room of other lanes alone", async () => {
    const { put, outbox, next } = await openOutbox({ lanes });
    const ends = await Promise.allSettled(["a", "b", "c", "d", "e", "f"].map((id) => put(id)));
    const codes = ends.map((end) => (end.status === "rejected" ? end.reason.code : "value"));
    expect(codes).toEqual([...Array(4).fill("value"), "BACKLOG_FULL", "BACKLOG_FULL"]);
    expect(outbox.status).toMatchObject({ fill: 1, lanes: { bulk: { records: 4, fill: 1 } } });
    await put("x", "emergency", "12345678");
    expect(await rejection(put("y", "emergency", "9"))).toMatchObject({
      code: "BACKLOG_FULL",
      details: { lane: "emergency", records: 1, bytes: 8, bytesMax: 8 },
    });
    expect(next(2, ["bulk"])).toEqual(["a", "b"]);
    await outbox.acknowledge(["a"]);
    expect(outbox.status.lanes.bulk.fill).toBe(0.75);
    await put("e");
    expect(next()).toEqual(["x", "c", "d", "e"]);
  });

  it("gives the room of a failed write back", async () => {
    const { put, files, outbox } = await openOutbox({ lanes });
    files.fault = (operation) => (operation === "write" ? "ENOSPC" : null);
    for (let index = 0; index < 9; index++) {
      expect(await rejection(put(`a${index}`))).toMatchObject({ code: "WAL_FULL" });
    }
    files.fault = () => null;
    expect(outbox.status.lanes.bulk).toMatchObject({ records: 0, bytes: 0, accepted: 0 });
    expect(await Promise.all(["a", "b", "c", "d"].map((id) => put(id)))).toHaveLength(4);
  });

  it("gives up what has waited longest where it is told to, and says so", async () => {
    const policy = { bulk: { recordsMax: 4, whenFull: "drop-oldest" } } as const;
    const first = await openOutbox({ lanes: policy });
    for (const id of ["a", "b", "c", "d", "e", "f"]) await first.put(id);
    expect(first.outbox.takeGivenUp()).toEqual([
      { id: "a", lane: "bulk", why: "no room for more" },
      { id: "b", lane: "bulk", why: "no room for more" },
    ]);
    expect(first.outbox.takeGivenUp()).toEqual([]);
    const second = await first.again(first.files.crashed());
    for (const { next, outbox } of [first, second]) {
      expect(next()).toEqual(["c", "d", "e", "f"]);
      expect(outbox.deadLetters(9).map(({ id }) => id)).toEqual(["a", "b"]);
      expect(outbox.status.lanes.bulk).toMatchObject({ accepted: 6, dead: 2, records: 4, fill: 1 });
    }
  });
});

describe("age", () => {
  it("ends what a lane keeps only for a time", async () => {
    const { put, outbox, clock, next } = await openOutbox({
      lanes: { bulk: { expiresMs: 1_000 } },
    });
    await Promise.all([put("a"), put("c", "control")]);
    clock.wallMs += 1_001;
    await put("b");
    await outbox.tidy();
    expect(next()).toEqual(["c", "b"]);
    expect(outbox.takeGivenUp()).toMatchObject([{ id: "a", why: "older than what is kept" }]);
  });

  it("lets settled ids be forgotten, by time, count and bytes", async () => {
    const retention = { keepMs: 1_000, keepRecords: 2, keepBytes: 1_000, deadMax: 2 };
    const { put, outbox, clock } = await openOutbox({ retention });
    const knows = async (id: string) => (await put(id, "control")) < 10;
    for (const id of ["a", "b", "c"]) await put(id);
    await outbox.acknowledge(["a", "b", "c"]);
    expect([await knows("b"), await knows("c")]).toEqual([true, true]);
    for (let index = 0; index < 9; index++) await put(`fill${index}`, null);
    expect(await knows("a")).toBe(false);
    clock.wallMs += 1_001;
    await outbox.tidy();
    expect(await knows("c")).toBe(false);
  });

  it("bounds the dead letters", async () => {
    const retention = { keepMs: 1_000, keepRecords: 9, keepBytes: 1_000, deadMax: 2 };
    const { put, outbox } = await openOutbox({ retention });
    for (const id of ["a", "b", "c"]) {
      await put(id);
      await outbox.fail(id, "no", { never: true });
    }
    expect(outbox.deadLetters(9).map(({ id }) => id)).toEqual(["b", "c"]);
    expect(outbox.status.lanes.bulk.dead).toBe(3);
  });
});

describe("a full disk", () => {
  it("does not bring back what was acknowledged meanwhile", async () => {
    const first = await openOutbox();
    await Promise.all([first.put("a"), first.put("b")]);
    expect(first.next()).toEqual(["a", "b"]);
    first.files.fault = (operation) => (operation === "write" ? "ENOSPC" : null);
    expect(await rejection(first.outbox.acknowledge(["a"]))).toMatchObject({ code: "WAL_FULL" });
    first.clock.wallMs += 60_000;
    expect(first.next()).toEqual(["b"]);
    first.files.fault = () => null;
    await first.put("c");
    await first.outbox.tidy();
    const second = await first.again(first.files.crashed());
    expect(second.next()).toEqual(["b", "c"]);
    expect(second.outbox.status).toEqual((await first.again()).outbox.status);
  });

  it("still pauses before a retry", async () => {
    const { put, next, outbox, files } = await openOutbox();
    await put("a");
    next();
    files.fault = (operation) => (operation === "write" ? "ENOSPC" : null);
    expect(await outbox.fail("a", "busy")).toMatchObject({ outcome: "retry", attempts: 1 });
    expect(next()).toEqual([]);
  });

  it("is found to have room again by a probe, which changes nothing", async () => {
    const first = await openOutbox();
    await first.put("a");
    await first.outbox.note([{ key: "k", bytes: Uint8Array.of(1) }]);
    first.files.fault = (operation) => (operation === "write" ? "ENOSPC" : null);
    expect(await rejection(first.outbox.probe())).toMatchObject({ code: "WAL_FULL" });
    first.files.fault = () => null;
    const { status } = first.outbox;
    await first.outbox.probe();
    expect(first.outbox.status).toEqual(status);
    const second = await first.again();
    expect(second.outbox.status).toEqual(status);
    expect([...second.outbox.notes("")]).toEqual([["k", Uint8Array.of(1)]]);
  });
});

describe("compaction", () => {
  it("does not bring a note back that was taken away", async () => {
    const first = await openOutbox({ segmentBytes: 64 });
    const payload = new Uint8Array(1);
    const notes = [{ key: "k", bytes: Uint8Array.of(1) }];
    await first.outbox.put({ id: "a", lane: "bulk", subject: "", timeMs: 1, payload, notes });
    await first.outbox.note([{ key: "k", bytes: null }]);
    await first.put("b");
    await first.outbox.compact();
    const second = await first.again();
    expect(second.next()).toEqual(["a", "b"]);
    expect([...second.outbox.notes("")]).toEqual([]);
  });

  it("goes by one knowledge from its beginning to its end", async () => {
    const retention = { keepMs: 1_000_000, keepRecords: 1, keepBytes: 1_000, deadMax: 9 };
    const { wal, clock, put, outbox: writer } = await openOutbox({ retention });
    for (const id of ["a", "b", "c"]) await put(id);
    await writer.acknowledge(["a"]);
    const kept: number[] = [];
    const log: OutboxLog = {
      ...{
        put: (record, receipt) => wal.put(record, receipt),
        read: () => wal.read(),
        status: wal.status,
      },
      async compact(keep) {
        for await (const record of wal.read()) {
          if (keep(record)) kept.push(record.sequence);
          // Settles while the log is being sifted: more than may be remembered.
          if (record.sequence === 1) await outbox.acknowledge(["b", "c"]);
        }
      },
    };
    const outbox = await Outbox.open(log, { clock, retention });
    await outbox.compact();
    // The entry stayed, so what ended it stays.
    expect(kept).toEqual(expect.arrayContaining([1, 4]));
  });
});
