import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { decodeRecord, encodeRecord } from "../../../../src/actors/wal/record.ts";
import { walWriter } from "../../../../src/actors/wal/wal-writer.actor.ts";
import { callInfo, TestClock, testContext } from "../../../fixtures/context.ts";

let directory = "";
const stops: (() => Promise<void>)[] = [];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "esper-wal-"));
});
afterEach(async () => {
  // Those that a test left behind as if they had crashed.
  for (const stop of stops.splice(0)) await stop();
  await rm(directory, { recursive: true });
});

async function start(strict = true, clock = new TestClock()) {
  const { context, recorded } = testContext(
    walWriter,
    { directory, strict, retentionHours: 24 },
    clock,
  );
  const state = await walWriter.setup(context);
  stops.push(async () => walWriter.stop?.(state, context));
  return {
    recorded,
    appendBoth: (left: string, right: string) =>
      walWriter.receive.append(
        state,
        {
          records: [left, right].map((recordId) => ({
            recordId,
            timeMs: clock.wallMs,
            bytes: Uint8Array.of(3),
          })),
        },
        context,
        callInfo,
      ),
    append: (recordId: string, timeMs = clock.wallMs) =>
      walWriter.receive.append(
        state,
        { records: [{ recordId, timeMs, bytes: Uint8Array.of(1, 2) }] },
        context,
        callInfo,
      ),
    status: () => walWriter.receive.status(state, null, context, callInfo),
    stop: () => walWriter.stop?.(state, context),
  };
}

describe("the WAL writer", () => {
  it("appends, and finds its records again after a stop and after a crash", async () => {
    const first = await start();
    expect(await first.append("a")).toEqual({ sequences: [1] });
    expect(await first.append("b")).toEqual({ sequences: [2] });
    const second = await start();
    expect(await second.status()).toMatchObject({ records: 2, recovered: 2, tornBytes: 0 });
    expect(await second.append("c")).toEqual({ sequences: [3] });
    await second.stop();
    expect(await (await start()).status()).toMatchObject({ records: 3 });
  });

  it("takes several records at once, and those it knows only once", async () => {
    const actor = await start();
    expect(await actor.appendBoth("a", "b")).toEqual({ sequences: [1, 2] });
    expect(await actor.appendBoth("b", "c")).toEqual({ sequences: [2, 3] });
    expect(await actor.status()).toMatchObject({ records: 3 });
  });

  it("takes a report that is sent again once, also after a restart", async () => {
    const first = await start();
    await first.append("a");
    expect(await first.append("a")).toEqual({ sequences: [1] });
    const second = await start();
    expect(await second.append("a")).toEqual({ sequences: [1] });
    expect(await second.append("b")).toEqual({ sequences: [2] });
    expect(await second.status()).toMatchObject({ records: 2 });
  });

  it("refuses a report without a time and says so", async () => {
    const actor = await start();
    await expect(actor.append("a", 0)).rejects.toMatchObject({ code: "RECORD_WITHOUT_TIME" });
    expect(actor.recorded.events.map(({ name }) => name)).toContain("wal.append_failed");
    await expect(actor.append("")).rejects.toMatchObject({ code: "FRAME_MALFORMED" });
  });

  it("refuses a damaged log when strict, and salvages it when not", async () => {
    const first = await start();
    for (const id of ["a", "b", "c"]) await first.append(id);
    await first.stop();
    const [name] = await readdir(directory);
    const path = join(directory, name ?? "");
    const bytes = await readFile(path);
    bytes[80] = (bytes[80] as number) ^ 1;
    await writeFile(path, bytes);
    await expect(start()).rejects.toMatchObject({ code: "WAL_CORRUPT" });
    const salvaged = await start(false);
    expect(await salvaged.status()).toMatchObject({ records: 1 });
    expect(salvaged.recorded.events).toMatchObject([
      { name: "wal.salvaged", level: "CRITICAL", attributes: { kept: 1 } },
    ]);
  });

  it("reports a torn tail that it cut off", async () => {
    await (await start()).append("a");
    const [name] = await readdir(directory);
    const path = join(directory, name ?? "");
    await writeFile(path, Uint8Array.of(1, 2, 3), { flag: "a" });
    const again = await start();
    expect(await again.status()).toMatchObject({ records: 1, tornBytes: 3 });
    expect(again.recorded.events).toMatchObject([
      { name: "wal.torn_tail", attributes: { bytes: 3 } },
    ]);
  });
});

describe("a record", () => {
  it("carries its id and bytes", () => {
    for (const recordId of ["a", "über-äöü", "x".repeat(1_024)]) {
      const bytes = Uint8Array.of(9, 8);
      expect(decodeRecord(encodeRecord({ recordId, bytes }))).toEqual({ recordId, bytes });
    }
  });

  it("is refused when it is cut off", () => {
    const payload = encodeRecord({ recordId: "abc", bytes: new Uint8Array(0) });
    for (let size = 0; size < payload.byteLength; size++) {
      expect(() => decodeRecord(payload.subarray(0, size))).toThrow(/does not begin/);
    }
  });
});
