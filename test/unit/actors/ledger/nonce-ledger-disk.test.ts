/** The ledger on a disk that is full, fails or loses power at any call. */
import { describe, expect, it } from "vitest";
import { encodeClaim, encodeFloor } from "../../../../src/actors/ledger/claim-record.ts";
import { NonceLedger } from "../../../../src/actors/ledger/nonce-ledger.ts";
import type { ClaimVerdict } from "../../../../src/protocols/actors/durable.ts";
import { EsperError } from "../../../../src/protocols/errors.ts";
import { logIdText } from "../../../../src/runtime/durable/frame.ts";
import { beginLog } from "../../../../src/runtime/durable/log-begin.ts";
import { runLogId } from "../../../../src/runtime/durable/log-owner.ts";
import { Wal } from "../../../../src/runtime/durable/wal.ts";
import { TestClock } from "../../../fixtures/context.ts";
import { MemoryFiles } from "../../../fixtures/memory-files.ts";

const DIRECTORY = "/run/ledger";
const RUN = "run-1";
const TTL_MS = 65_000;

const id = (counter: number): string => `${RUN}/1/${counter}`;

async function open(
  files: MemoryFiles,
  clock = new TestClock(),
  runId = RUN,
  capacity = 256,
  salvage = false,
) {
  const told: string[] = [];
  const ledger = await NonceLedger.open({
    files,
    directory: DIRECTORY,
    runId,
    capacity,
    freshnessMs: 60_000,
    ttlMs: TTL_MS,
    clock,
    salvage,
    segmentBytes: 1_024,
    tell: (name, level) => told.push(`${name} ${level}`),
  });
  const claim = (counter: number, attempt = "", issuedAtMs = clock.wallMs) =>
    ledger.claim({ commandId: id(counter), issuedAtMs, attempt });
  return { ledger, claim, told };
}

const codeOf = (error: unknown): string => (EsperError.is(error) ? error.code : String(error));
const settled = (claims: readonly Promise<ClaimVerdict>[]): Promise<string[]> =>
  Promise.all(claims.map((claim) => claim.catch(codeOf)));

describe("claims made at once", () => {
  it("share their flushes", async () => {
    const files = new MemoryFiles();
    const { claim } = await open(files);
    const before = files.trace.length;
    const verdicts = await settled(Array.from({ length: 200 }, (_, index) => claim(index)));
    expect(new Set(verdicts)).toEqual(new Set(["fresh"]));
    const flushes = files.trace.slice(before).filter((step) => step.startsWith("fsync /"));
    expect(flushes.length).toBeLessThanOrEqual(2);
  });

  it("of one id are fresh once, whoever is first", async () => {
    const { claim, ledger } = await open(new MemoryFiles());
    const verdicts = await settled(Array.from({ length: 9 }, () => claim(1)));
    expect(verdicts.sort()).toEqual(["fresh", ...Array(8).fill("replayed")]);
    expect(ledger.size).toBe(1);
  });

  it("of one id are fresh once also when the first one finds no room", async () => {
    const files = new MemoryFiles();
    const { claim, ledger } = await open(files);
    let writes = 0;
    files.fault = (operation) => (operation === "write" && ++writes === 1 ? "ENOSPC" : null);
    const verdicts = await settled([claim(1), claim(1), claim(1)]);
    expect(verdicts).toEqual(["WAL_FULL", "fresh", "replayed"]);
    expect(ledger.size).toBe(1);
  });

  it("give their places back when they cannot be stored", async () => {
    const files = new MemoryFiles();
    const { claim, ledger } = await open(files, new TestClock(), RUN, 64);
    files.fault = (operation) => (operation === "write" ? "ENOSPC" : null);
    for (let round = 0; round < 3; round++) {
      const verdicts = await settled(Array.from({ length: 70 }, (_, index) => claim(index)));
      expect(verdicts.filter((verdict) => verdict === "WAL_FULL")).toHaveLength(64);
      expect(verdicts.filter((verdict) => verdict === "LEDGER_FULL")).toHaveLength(6);
    }
    expect(ledger.size).toBe(0);
  });
});

describe("an asking whose answer was lost", () => {
  it("is answered again after a restart, and nobody else's replay is", async () => {
    const files = new MemoryFiles();
    await (await open(files)).claim(1, "mine");
    const again = await open(files.killed());
    expect(await again.claim(1, "mine")).toBe("fresh");
    expect(await again.claim(1, "other")).toBe("replayed");
    expect(await again.claim(1)).toBe("replayed");
  });

  it("is not answered again once it is stale", async () => {
    const clock = new TestClock();
    const { claim } = await open(new MemoryFiles(), clock);
    const issuedAtMs = clock.wallMs;
    await claim(1, "mine", issuedAtMs);
    clock.wallMs += 60_001;
    expect(await claim(1, "mine", issuedAtMs)).toBe("stale");
  });
});

describe("a disk without room", () => {
  it("lets no command pass, says so once, and needs no restart when there is room", async () => {
    const files = new MemoryFiles();
    const { claim, ledger, told } = await open(files);
    await claim(1);
    files.fault = (operation) => (operation === "write" ? "ENOSPC" : null);
    for (let counter = 2; counter < 6; counter++) {
      await expect(claim(counter)).rejects.toMatchObject({ code: "WAL_FULL" });
      expect(await claim(1)).toBe("replayed");
    }
    expect(ledger.failure).toMatchObject({ code: "WAL_FULL" });
    files.fault = () => null;
    expect(await claim(2)).toBe("fresh");
    expect(ledger.failure).toBeNull();
    expect(told).toEqual(["nonce_ledger_unavailable CRITICAL", "nonce_ledger_recovered INFO"]);
    const again = await open(files.crashed());
    expect(await settled([1, 2, 3].map((counter) => again.claim(counter)))).toEqual([
      "replayed",
      "replayed",
      "fresh",
    ]);
  });
});

describe("a disk whose flush failed", () => {
  it("lets no command pass until the log was opened anew", async () => {
    const files = new MemoryFiles();
    const { claim } = await open(files);
    await claim(1);
    files.fault = (operation) => (operation === "fsync" ? "EIO" : null);
    await expect(claim(2)).rejects.toMatchObject({ code: "WAL_POISONED" });
    files.fault = () => null;
    for (const counter of [2, 3]) {
      await expect(claim(counter)).rejects.toMatchObject({ code: "WAL_POISONED" });
    }
    const again = await open(files.crashed());
    expect(await again.claim(1)).toBe("replayed");
    expect(await again.claim(3)).toBe("fresh");
  });
});

/** Claims, some at once, over several segments and a wave of expiries with its removals. */
async function work(files: MemoryFiles, clock: TestClock, fresh: Map<number, number>) {
  const { ledger, claim } = await open(files, clock);
  let counter = 0;
  for (let round = 0; round < 16; round++) {
    const group = Array.from({ length: 4 }, async () => {
      const own = counter++;
      const issuedAtMs = clock.wallMs;
      if ((await claim(own, "", issuedAtMs)) === "fresh") fresh.set(own, issuedAtMs);
    });
    for (const result of await Promise.allSettled(group)) {
      if (result.status === "rejected") throw result.reason;
    }
    clock.wallMs += round % 5 === 4 ? TTL_MS : 1_000;
  }
  await ledger.close();
}

describe("power that fails at any call", () => {
  it.each(["crashed", "killed"] as const)("makes no used id fresh again (%s)", async (how) => {
    let calls = 0;
    for (let at = 1; ; at++) {
      const files = new MemoryFiles();
      const fresh = new Map<number, number>();
      const found: { after: MemoryFiles | null; known: Map<number, number> } = {
        after: null,
        known: fresh,
      };
      files.fault = (_operation, _path, count) => {
        if (count < at) return null;
        if (found.after === null) {
          found.after = files[how]();
          // Only what was answered by then was promised.
          found.known = new Map(fresh);
        }
        return "EIO";
      };
      const clock = new TestClock();
      await work(files, clock, fresh).catch((error: unknown) => {
        if (!EsperError.is(error)) throw error;
      });
      const { after, known } = found;
      if (after === null) {
        const removed = files.trace.filter((step) => /^remove .*\.wal$/.test(step));
        expect(removed.length).toBeGreaterThan(1);
        break;
      }
      calls = at;
      for (const back of [0, 70_000, 140_000]) {
        const at = new TestClock();
        at.wallMs = clock.wallMs - back;
        const { claim, ledger } = await open(after.crashed(), at);
        for (const [counter, issuedAtMs] of known) {
          expect(await claim(counter, "", issuedAtMs)).not.toBe("fresh");
        }
        // Beyond every floor: the ledger goes on.
        at.wallMs = clock.wallMs + 10 * TTL_MS;
        expect(await claim(9_999)).toBe("fresh");
        await ledger.close();
      }
    }
    expect(calls).toBeGreaterThan(40);
  });
});

describe("a log behind claims of a clock that ran ahead", () => {
  it("is compacted, remembers those claims, and makes no other fresh again", async () => {
    const clock = new TestClock();
    const files = new MemoryFiles();
    const { claim, ledger } = await open(files, clock, RUN, 2_048);
    const startMs = clock.wallMs;
    const aheadMs = startMs + 3_600_000;
    clock.wallMs = aheadMs;
    for (let counter = 0; counter < 20; counter++) await claim(counter);
    let next = 20;
    for (let round = 0; round < 12; round++) {
      clock.wallMs = startMs + round * TTL_MS;
      const group = Array.from({ length: 1_000 }, () => claim(next++));
      expect(new Set(await settled(group))).toEqual(new Set(["fresh"]));
    }
    // 12,000 claims were made, about 1,000 are live; the compaction goes on beside the claims.
    const mostBytes = 6_000 * 100;
    for (let turn = 0; turn < 20_000 && ledger.logBytes > mostBytes; turn++) {
      await new Promise(setImmediate);
    }
    expect(ledger.logBytes).toBeLessThan(mostBytes);
    await ledger.close();
    for (const atMs of [clock.wallMs, startMs]) {
      const at = new TestClock();
      at.wallMs = atMs;
      const again = await open(files.killed(), at, RUN, 2_048);
      for (const counter of [20, 500, 6_500, 11_500, next - 1]) {
        const issuedAtMs = startMs + Math.floor((counter - 20) / 1_000) * TTL_MS;
        expect(await again.claim(counter, "", issuedAtMs)).not.toBe("fresh");
      }
      at.wallMs = aheadMs;
      expect(await again.claim(7, "", aheadMs)).toBe("replayed");
    }
  });
});

describe("a salvage that a crash cut short", () => {
  it("lets nothing issued before the next opening pass", async () => {
    const clock = new TestClock();
    const files = new MemoryFiles();
    const first = await open(files, clock);
    await settled([1, 2, 3].map((counter) => first.claim(counter)));
    await first.ledger.close();
    const [segment = ""] = [...files.entries.keys()].filter((name) => name.endsWith(".wal"));
    const bytes = files.bytes(segment).slice();
    bytes[60] = (bytes[60] ?? 0) ^ 1;
    const damaged = new MemoryFiles();
    damaged.putBytes(segment, bytes);
    // The log is salvaged, and its process dies before it can note that.
    await (await Wal.open({ files: damaged, directory: DIRECTORY, salvage: true })).close();
    const again = await open(damaged, clock);
    for (const counter of [1, 2, 3, 4]) expect(await again.claim(counter)).toBe("stale");
    clock.wallMs += 1;
    expect(await again.claim(5)).toBe("fresh");
  });
});

describe("a floor in the log", () => {
  it("makes everything issued until then stale, and lives on in later records", async () => {
    const clock = new TestClock();
    const files = new MemoryFiles();
    const wal = await Wal.open({ files, directory: DIRECTORY, logId: runLogId(RUN, "ledger") });
    const floorMs = clock.wallMs + 1_000;
    await wal.append({ timeMs: clock.wallMs, payload: encodeFloor(RUN, floorMs) });
    await wal.close();
    const { claim } = await open(files, clock);
    expect(await claim(1, "", floorMs)).toBe("stale");
    expect(await claim(2, "", floorMs + 1)).toBe("fresh");
  });
});

describe("the log of another run", () => {
  const contents = (files: MemoryFiles) =>
    [...files.entries.keys()].map((path) => [path, [...files.bytes(path)]]);

  it("is refused by its id, and left as it is", async () => {
    const files = new MemoryFiles();
    const first = await open(files);
    await first.claim(1);
    await first.ledger.close();
    const before = contents(files);
    await expect(open(files, new TestClock(), "run-2")).rejects.toMatchObject({
      code: "WAL_FOREIGN",
      details: { offset: 0, expected: logIdText(runLogId("run-2", "ledger")) },
    });
    expect(contents(files)).toEqual(before);
    expect(files.openHandles).toBe(0);
  });

  it.each([
    ["claims", encodeClaim({ commandId: id(1), issuedAtMs: 1, floorMs: 0, attempt: "" }), id(1)],
    ["floors", encodeFloor(RUN, 1), RUN],
  ])("is refused by its %s too, whatever id it has", async (_what, payload, found) => {
    const files = new MemoryFiles();
    const logId = runLogId("run-2", "ledger");
    const wal = await Wal.open({ files, directory: DIRECTORY, logId });
    await wal.append({ timeMs: 1, payload });
    await wal.close();
    const before = contents(files);
    await expect(open(files, new TestClock(), "run-2")).rejects.toMatchObject({
      code: "WAL_FOREIGN",
      details: { expected: "run-2/...", found },
    });
    expect(contents(files)).toEqual(before);
    expect(files.openHandles).toBe(0);
  });
});

describe("a ledger that was taken away", () => {
  it("takes no command issued before it was salvaged, in this life and in later ones", async () => {
    const clock = new TestClock();
    const first = await open(new MemoryFiles(), clock);
    const usedAtMs = clock.wallMs;
    expect(await first.claim(1)).toBe("fresh");
    clock.wallMs += 1_000;
    const files = new MemoryFiles();
    const salvaged = await open(files, clock, RUN, 256, true);
    expect(salvaged.told).toEqual(["nonce_ledger_lost CRITICAL"]);
    expect(await salvaged.claim(1, "", usedAtMs)).toBe("stale");
    const again = await open(files.crashed(), clock);
    expect(again.told).toEqual([]);
    expect(await again.claim(1, "", usedAtMs)).toBe("stale");
    clock.wallMs += 1;
    expect(await again.claim(2)).toBe("fresh");
  });

  it("is not confused with one that was only begun", async () => {
    const clock = new TestClock();
    const files = new MemoryFiles();
    await beginLog(files, { directory: "/run", runId: RUN, name: "ledger" }, clock.wallMs);
    const { told, claim } = await open(files, clock, RUN, 256, true);
    expect(told).toEqual([]);
    expect(await claim(1)).toBe("fresh");
    expect(await (await open(files.crashed(), clock)).claim(1)).toBe("replayed");
  });
});
