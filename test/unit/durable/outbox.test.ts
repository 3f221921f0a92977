import { describe, expect, it } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import { LANES } from "../../../src/protocols/protocol.ts";
import type { FailureOutcome } from "../../../src/runtime/durable/outbox.ts";
import { MemoryFiles } from "../../fixtures/memory-files.ts";
import { openOutbox } from "../../fixtures/outbox.ts";
import { rejection } from "../runtime/support.ts";

describe("an outbox", () => {
  it("has an entry on disk before it says so, and finds it after a crash", async () => {
    const first = await openOutbox();
    expect(await first.put("a")).toBe(1);
    const second = await first.again(first.files.crashed());
    const payload = new TextEncoder().encode("a");
    expect(second.outbox.next(10)).toMatchObject([
      { id: "a", lane: "bulk", subject: "test", timeMs: first.clock.wallMs, attempts: 0, payload },
    ]);
  });

  it("hands out nothing before it is on disk", async () => {
    const { put, next } = await openOutbox();
    const written = put("a");
    expect(next()).toEqual([]);
    await written;
    expect(next()).toEqual(["a"]);
  });

  it("hands out the highest lane first, and in order within a lane", async () => {
    const { put, next } = await openOutbox();
    await Promise.all([
      ...[put("b1", "bulk"), put("c1", "control"), put("b2", "bulk"), put("e1", "emergency")],
      ...[put("s1", "system"), put("e2", "emergency"), put("c2", "control")],
    ]);
    expect(next(3)).toEqual(["s1", "e1", "e2"]);
    expect(next()).toEqual(["c1", "c2", "b1", "b2"]);
  });

  it("hands out only the lanes that are asked for", async () => {
    const { put, next } = await openOutbox();
    await Promise.all([put("b", "bulk"), put("e", "emergency")]);
    expect(next(9, ["bulk"])).toEqual(["b"]);
    expect(next(9, ["bulk"])).toEqual([]);
    expect(next(9)).toEqual(["e"]);
  });

  it("does not hand out twice before the answer is overdue", async () => {
    const { put, next, clock } = await openOutbox({ lanes: { bulk: { answerMs: 1_000 } } });
    await Promise.all([put("a"), put("b")]);
    expect(next(1)).toEqual(["a"]);
    expect(next()).toEqual(["b"]);
    clock.wallMs += 999;
    expect(next()).toEqual([]);
    clock.wallMs += 1;
    expect(next()).toEqual(["a", "b"]);
  });

  it("hands everything out again after a restart, save what was acknowledged", async () => {
    const first = await openOutbox();
    await Promise.all(["a", "b", "c"].map((id) => first.put(id)));
    expect(first.next()).toEqual(["a", "b", "c"]);
    expect(await first.outbox.acknowledge(["b", "never seen"])).toBe(1);
    expect(await first.outbox.acknowledge(["b"])).toBe(0);
    expect((await first.again(first.files.crashed())).next()).toEqual(["a", "c"]);
  });

  it("keeps one entry of those with the same id, also when they come at once", async () => {
    const { put, next, outbox, wal } = await openOutbox();
    expect(await Promise.all([put("a"), put("a"), put("b"), put("a")])).toEqual([1, 1, 2, 1]);
    expect(await put("a")).toBe(1);
    expect(wal.status.records).toBe(2);
    expect(next()).toEqual(["a", "b"]);
    await outbox.acknowledge(["a"]);
    expect(await put("a")).toBe(1);
    expect(next()).toEqual([]);
  });

  it("keeps what has no lane and hands it to nobody", async () => {
    const first = await openOutbox();
    expect(await first.put("a", null)).toBe(1);
    expect(await first.put("a", null)).toBe(1);
    const second = await first.again();
    expect(second.next()).toEqual([]);
    expect(await second.put("a", null)).toBe(1);
  });

  it("refuses what has no time, no id or too long a subject, and keeps nothing of it", async () => {
    const { outbox, wal } = await openOutbox();
    const entry = { id: "a", lane: "bulk", subject: "", payload: new Uint8Array(1), timeMs: 1 };
    const refused = async (changes: object) =>
      (await rejection(outbox.put({ ...entry, lane: "bulk", ...changes }))).code;
    expect(await refused({ timeMs: 0 })).toBe("RECORD_WITHOUT_TIME");
    expect(await refused({ timeMs: Number.NaN })).toBe("RECORD_WITHOUT_TIME");
    expect(await refused({ id: "" })).toBe("FRAME_MALFORMED");
    expect(await refused({ subject: "x".repeat(1_025) })).toBe("FRAME_MALFORMED");
    expect(await refused({ payload: new Uint8Array(1_048_577) })).toBe("FRAME_TOO_LARGE");
    expect(wal.status.records).toBe(0);
    expect(outbox.status.lanes.bulk).toMatchObject({ records: 0, bytes: 0, fill: 0 });
  });
});

describe("a failed delivery", () => {
  it("is tried again after 2, 4 and 8 seconds and then given up with its reason", async () => {
    const first = await openOutbox();
    await first.put("a");
    for (const delayMs of [2_000, 4_000, 8_000]) {
      expect(first.next()).toEqual(["a"]);
      const outcome = await first.outbox.fail("a", "refused");
      expect(outcome).toMatchObject({ outcome: "retry", delayMs });
      first.clock.wallMs += delayMs - 1;
      expect(first.next()).toEqual([]);
      first.clock.wallMs += 1;
    }
    expect(first.next()).toEqual(["a"]);
    expect(await first.outbox.fail("a", "refused")).toEqual({ outcome: "dead", attempts: 4 });
    for (const { outbox, next } of [first, await first.again()]) {
      expect(next()).toEqual([]);
      expect(outbox.deadLetters(9)).toMatchObject([{ id: "a", why: "refused", attempts: 4 }]);
      const { bulk } = outbox.status.lanes;
      expect(bulk).toMatchObject({ accepted: 1, retries: 4, dead: 1, records: 0 });
    }
  });

  it("keeps its count and its pause over a restart", async () => {
    const first = await openOutbox();
    await first.put("a");
    first.next();
    await first.outbox.fail("a", "busy");
    const second = await first.again(first.files.crashed());
    expect(second.next()).toEqual([]);
    expect(second.outbox.status.lanes.bulk).toMatchObject({ retries: 1, backlog: 1 });
    second.clock.wallMs += 2_000;
    expect(second.outbox.next(1)).toMatchObject([{ id: "a", attempts: 1 }]);
  });

  it("holds back what stands behind it in its lane, and no other lane", async () => {
    const { put, next, outbox, clock } = await openOutbox();
    await Promise.all([put("a"), put("b"), put("c", "control")]);
    expect(next(9, ["bulk"])).toEqual(["a", "b"]);
    await outbox.fail("a", "busy");
    await put("d");
    expect(next()).toEqual(["c"]);
    clock.wallMs += 2_000;
    expect(next()).toEqual(["a", "d"]);
  });

  it("never ends an emergency or a command", async () => {
    const { put, outbox, clock, next } = await openOutbox();
    await Promise.all([put("e", "emergency"), put("c", "control")]);
    let last: FailureOutcome = { outcome: "unknown" };
    for (let index = 0; index < 50; index++) {
      expect(next().sort()).toEqual(["c", "e"]);
      await outbox.fail("e", "down");
      last = await outbox.fail("c", "down");
      clock.wallMs += 30_000;
    }
    expect(last).toEqual({ outcome: "retry", attempts: 50, delayMs: 30_000 });
    expect(outbox.deadLetters(9)).toEqual([]);
  });

  it("ends at once what the other side will never take, in every lane", async () => {
    const { put, outbox, next } = await openOutbox();
    await Promise.all([put("e", "emergency"), put("f", "emergency")]);
    next();
    expect(await outbox.fail("e", "too large", { never: true })).toMatchObject({ outcome: "dead" });
    expect(outbox.deadLetters(9)).toMatchObject([{ id: "e", why: "too large" }]);
    expect(await outbox.fail("e", "again")).toEqual({ outcome: "unknown" });
    expect(await outbox.fail("nobody", "x")).toEqual({ outcome: "unknown" });
  });

  it("that was one all the same is taken back by a late acknowledgement", async () => {
    const first = await openOutbox({ lanes: { bulk: { retriesMax: 0 } } });
    await first.put("a");
    expect(await first.outbox.fail("a", "no answer")).toMatchObject({ outcome: "dead" });
    expect(await first.outbox.acknowledge(["a"])).toBe(1);
    for (const { outbox } of [first, await first.again()]) {
      expect(outbox.deadLetters(9)).toEqual([]);
      expect(outbox.status.lanes.bulk).toMatchObject({ acknowledged: 1 });
    }
  });

  it("is ready when the clock was set back, not years later", async () => {
    const { put, next, outbox, clock } = await openOutbox();
    await put("a");
    next();
    clock.wallMs -= 86_400_000;
    expect(next()).toEqual(["a"]);
    await outbox.fail("a", "busy");
    clock.wallMs -= 86_400_000;
    expect(next()).toEqual(["a"]);
  });
});

describe("a note", () => {
  const note = (key: string, value: number | null) => ({
    key,
    bytes: value === null ? null : Uint8Array.of(value),
  });

  it("has its newest value, and becomes true with its entry or not at all", async () => {
    const first = await openOutbox();
    const entry = { lane: "bulk", subject: "", payload: new Uint8Array(1), timeMs: 1 } as const;
    await first.outbox.put({ ...entry, id: "a", notes: [note("w/1", 1), note("w/2", 2)] });
    await first.outbox.put({ ...entry, id: "b", notes: [note("w/1", 3), note("x", 9)] });
    await first.outbox.note([note("w/2", null)]);
    first.files.fault = (operation) => (operation === "write" ? "ENOSPC" : null);
    await rejection(first.outbox.put({ ...entry, id: "c", notes: [note("w/1", 4)] }));
    for (const { outbox } of [first, await first.again()]) {
      expect([...outbox.notes("w/")]).toEqual([["w/1", Uint8Array.of(3)]]);
    }
  });

  it("may not grow beyond what one record holds", async () => {
    const { outbox } = await openOutbox();
    const large = { key: "a", bytes: new Uint8Array(400_000) };
    await outbox.note([large]);
    expect(await rejection(outbox.note([{ ...large, key: "b" }]))).toMatchObject({
      code: "BACKLOG_FULL",
    });
    await outbox.note([{ key: "a", bytes: null }]);
    await outbox.note([{ ...large, key: "b" }]);
  });
});

describe("a log that cannot be understood", () => {
  it("is refused, naming the record", async () => {
    const { wal, again } = await openOutbox();
    await wal.append({ timeMs: 1, payload: Uint8Array.of(0, 0, 9) });
    const error = await rejection(again());
    expect(error).toMatchObject({ code: "WAL_CORRUPT", details: { sequence: 1, offset: 2 } });
    expect(EsperError.is(error)).toBe(true);
  });

  it("is not one of the first version", async () => {
    const { wal, again } = await openOutbox();
    const payload = Uint8Array.of(3, 0, 97, 98, 99, 7, 8);
    await wal.append({ timeMs: 1, payload });
    const second = await again(undefined);
    expect(await second.put("abc", null)).toBe(1);
    expect(LANES.map((lane) => second.outbox.status.lanes[lane].records)).toEqual([0, 0, 0, 0]);
  });
});

it("leaves no handle open", async () => {
  const files = new MemoryFiles();
  const { put, wal } = await openOutbox({}, files);
  await put("a");
  await wal.close();
  expect(files.openHandles).toBe(0);
});
