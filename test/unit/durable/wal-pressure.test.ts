import { describe, expect, it } from "vitest";
import type { OpenFile, OpenMode } from "../../../src/runtime/durable/files.ts";
import { Wal } from "../../../src/runtime/durable/wal.ts";
import { VirtualClock } from "../../../src/runtime/testkit/virtual-clock.ts";
import { CancellationToken } from "../../../src/runtime/token.ts";
import { DIRECTORY, LightFiles, record } from "./wal-support.ts";

/** Lets everything that is ready run. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await null;
}

/** A disk whose fsyncs end only when they are let go, or fail. */
class SlowDisk extends LightFiles {
  #held: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];
  isSlow = false;

  override async open(path: string, mode: OpenMode): Promise<OpenFile> {
    const file = await super.open(path, mode);
    const sync = () =>
      this.isSlow
        ? new Promise<void>((resolve, reject) => this.#held.push({ resolve, reject }))
        : Promise.resolve();
    return { ...file, sync };
  }

  get waiting(): number {
    return this.#held.length;
  }

  async letGo(): Promise<void> {
    for (const { resolve } of this.#held.splice(0)) resolve();
    await settle();
  }

  async fail(): Promise<void> {
    for (const { reject } of this.#held.splice(0)) reject(new Error("the device is gone"));
    await settle();
  }
}

async function slowLog(bounds: { pendingRecords?: number; pendingBytes?: number }) {
  const files = new SlowDisk();
  const clock = new VirtualClock();
  const wal = await Wal.open({ files, directory: DIRECTORY, clock, ...bounds });
  files.isSlow = true;
  return { files, clock, wal };
}

/** What a promise came to, for one that may still be open. */
function watch<T>(promise: Promise<T>) {
  const seen: { value?: T; error?: unknown } = {};
  promise.then(
    (value) => {
      seen.value = value;
    },
    (error: unknown) => {
      seen.error = error;
    },
  );
  return seen;
}

describe("a log on a slow disk", () => {
  it("says how much waits, for how long, and how long the last write took", async () => {
    const { files, clock, wal } = await slowLog({});
    const appended = [wal.append(record(1, 100)), wal.append(record(2, 100))];
    await settle();
    clock.advance(40);
    expect(wal.status).toMatchObject({
      pendingRecords: 2,
      pendingBytes: 312,
      oldestPendingMs: 40,
      lastSyncMs: 0,
    });
    await files.letGo();
    expect(await Promise.all(appended)).toEqual([1, 2]);
    expect(wal.status).toMatchObject({
      pendingRecords: 0,
      pendingBytes: 0,
      oldestPendingMs: 0,
      lastSyncMs: 40,
    });
  });

  it("gathers what comes during a flush into the next one", async () => {
    const { files, wal } = await slowLog({});
    const first = wal.append(record(1));
    await settle();
    const later = Promise.all([2, 3, 4].map((index) => wal.append(record(index))));
    await settle();
    expect(files.waiting).toBe(1);
    await files.letGo();
    expect(await first).toBe(1);
    expect(files.waiting).toBe(1);
    await files.letGo();
    expect(await later).toEqual([2, 3, 4]);
    expect(wal.status.flushes).toBe(2);
  });

  it("refuses at once beyond the bound of bytes, but takes one record of any size", async () => {
    const { files, wal } = await slowLog({ pendingBytes: 1_000 });
    const large = wal.append(record(1, 5_000));
    expect(wal.hasRoom()).toBe(false);
    await expect(wal.append(record(2, 10))).rejects.toMatchObject({
      code: "MAILBOX_FULL",
      details: { depth: 1, bytes: 5_056 },
    });
    await settle();
    await files.letGo();
    expect(await large).toBe(1);
    expect(wal.hasRoom()).toBe(true);
  });

  it("lets those who wait in, in their order, as far as there is room", async () => {
    const { files, wal } = await slowLog({ pendingRecords: 2 });
    const inside = [wal.append(record(1)), wal.append(record(2))];
    const order: number[] = [];
    const waiting = [3, 4, 5].map((index) =>
      wal.appendWhenRoom(record(index)).then((sequence) => order.push(sequence)),
    );
    const room = watch(wal.whenRoom(40));
    await settle();
    expect(wal.status).toMatchObject({ pendingRecords: 2, waiting: 4 });
    await files.letGo();
    await Promise.all(inside);
    expect(wal.status).toMatchObject({ pendingRecords: 2, waiting: 2 });
    expect(room).toEqual({});
    await files.letGo();
    expect(order).toEqual([3, 4]);
    expect(room).toHaveProperty("value");
    await files.letGo();
    await Promise.all(waiting);
    expect(order).toEqual([3, 4, 5]);
  });

  it("wakes no more of those who asked for room than there is room for", async () => {
    const { files, wal } = await slowLog({ pendingRecords: 1 });
    const inside = wal.append(record(1));
    const asked = [watch(wal.whenRoom()), watch(wal.whenRoom())];
    await settle();
    await files.letGo();
    await inside;
    expect(asked.map((one) => "value" in one)).toEqual([true, false]);
    const next = wal.append(record(2));
    await settle();
    await files.letGo();
    await next;
    expect(asked.map((one) => "value" in one)).toEqual([true, true]);
  });

  it("ends a wait that is cancelled or past its deadline, and lets the next one in", async () => {
    const { files, clock, wal } = await slowLog({ pendingBytes: 250 });
    const inside = wal.append(record(1, 100));
    const token = new CancellationToken();
    const late = new CancellationToken({ deadlineAtMs: clock.monotonicMs() + 50 });
    const cancelled = watch(wal.appendWhenRoom(record(2, 1_000), token));
    const expired = watch(wal.whenRoom(1_000, late));
    const small = watch(wal.whenRoom(10));
    await settle();
    token.cancel();
    await settle();
    expect(cancelled.error).toMatchObject({ code: "CANCELLED", details: { reason: "requested" } });
    expect(small).toEqual({});
    clock.advance(60);
    await settle();
    expect(expired.error).toMatchObject({ code: "CANCELLED", details: { reason: "deadline" } });
    expect(small).toHaveProperty("value");
    await files.letGo();
    await inside;
    expect(wal.status).toMatchObject({ pendingRecords: 0, waiting: 0, lastSequence: 1 });
    await expect(wal.whenRoom(1_000, token)).resolves.toBeUndefined();
  });

  it("keeps the number of those who wait within a bound", async () => {
    const { files, wal } = await slowLog({ pendingRecords: 1 });
    const inside = wal.append(record(1));
    const waiting = Array.from({ length: 1_024 }, () => wal.whenRoom());
    await expect(wal.whenRoom()).rejects.toMatchObject({ code: "MAILBOX_FULL" });
    const closing = wal.close();
    const outcomes = await Promise.allSettled(waiting);
    expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(["rejected"]));
    await files.letGo();
    await files.letGo();
    expect(await inside).toBe(1);
    await closing;
  });

  it("tells all who wait when it is closed or poisoned", async () => {
    for (const end of ["close", "poison"] as const) {
      const { files, wal } = await slowLog({ pendingRecords: 1 });
      const inside = watch(wal.append(record(1)));
      const waiting = [watch(wal.appendWhenRoom(record(2))), watch(wal.whenRoom())];
      await settle();
      const code = end === "close" ? "ACTOR_STOPPED" : "WAL_POISONED";
      if (end === "poison") {
        await files.fail();
        expect(inside.error).toMatchObject({ code });
      } else {
        const closing = wal.close();
        await settle();
        await files.letGo();
        await files.letGo();
        await closing;
        expect(inside.value).toBe(1);
      }
      // The first of them may have been let in before the disk failed.
      for (const { error } of waiting) expect(error).toMatchObject({ code });
      await expect(wal.whenRoom()).rejects.toMatchObject({ code });
      await expect(wal.appendWhenRoom(record(3))).rejects.toMatchObject({ code });
    }
  });
});
