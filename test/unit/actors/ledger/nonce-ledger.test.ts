import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nonceLedger } from "../../../../src/actors/ledger/nonce-ledger.actor.ts";
import { NonceWindow } from "../../../../src/actors/ledger/nonce-window.ts";
import { callInfo, TestClock, testContext } from "../../../fixtures/context.ts";

const limits = { capacity: 4, freshnessMs: 60_000, ttlMs: 65_000 };
const NOW = 1_700_000_000_000;

describe("the nonce window", () => {
  const claim = (window: NonceWindow, id: string, issuedAtMs: number, nowMs: number) => {
    const verdict = window.judge(id, issuedAtMs, nowMs);
    if (verdict === "fresh") window.add({ commandId: id, issuedAtMs, claimedAtMs: nowMs });
    return verdict;
  };

  it("judges freshness before replay, at the exact limits", () => {
    const window = new NonceWindow(limits);
    expect(claim(window, "a", NOW - 60_000, NOW)).toBe("fresh");
    expect(claim(window, "a", NOW, NOW)).toBe("replayed");
    expect(claim(window, "a", NOW - 60_001, NOW)).toBe("stale");
    expect(claim(window, "b", NOW + 5_000, NOW)).toBe("fresh");
    expect(claim(window, "c", NOW + 5_001, NOW)).toBe("future");
    expect(claim(window, "d", Number.NaN, NOW)).toBe("stale");
    expect(window.size).toBe(2);
  });

  it("never evicts a live entry, and takes new ones when old ones have expired", () => {
    const window = new NonceWindow(limits);
    for (const id of ["a", "b", "c", "d"]) claim(window, id, NOW, NOW);
    expect(claim(window, "e", NOW + 1, NOW + 1)).toBe("full");
    expect(claim(window, "a", NOW, NOW + 1)).toBe("replayed");
    const later = NOW + limits.ttlMs;
    expect(claim(window, "e", later, later - 1)).toBe("full");
    expect(claim(window, "e", later, later)).toBe("fresh");
    expect(window.size).toBe(1);
    expect(window.evictionsTotal).toBe(4);
  });

  it("never calls an evicted id fresh again, even when the clock jumps and comes back", () => {
    const window = new NonceWindow(limits);
    claim(window, "a", NOW, NOW);
    expect(window.expire(NOW + 1_000_000)).toBe(1);
    expect(claim(window, "a", NOW, NOW + 10)).toBe("stale");
    expect(claim(window, "b", NOW + 1, NOW + 10)).toBe("fresh");
  });

  it("calls no id fresh twice, for any times and any clock", () => {
    const step = fc.record({
      id: fc.integer({ min: 0, max: 5 }),
      ageMs: fc.integer({ min: -6_000, max: 70_000 }),
      moveMs: fc.integer({ min: -80_000, max: 80_000 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const window = new NonceWindow(limits);
        const issued = new Map<number, number>();
        const used = new Set<number>();
        let nowMs = NOW;
        for (const { id, ageMs, moveMs } of steps) {
          nowMs += moveMs;
          // A command's id and issue time are signed together: a replay has the same ones.
          const issuedAtMs = issued.get(id) ?? nowMs - ageMs;
          issued.set(id, issuedAtMs);
          if (claim(window, String(id), issuedAtMs, nowMs) !== "fresh") continue;
          expect(used.has(id)).toBe(false);
          used.add(id);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("holds and expires a quarter of a million live entries", () => {
    const window = new NonceWindow({ ...limits, capacity: 300_000 });
    for (let index = 0; index < 250_000; index++) claim(window, `c${index}`, NOW, NOW);
    expect(window.size).toBe(250_000);
    const later = NOW + limits.ttlMs;
    expect(claim(window, "next", later, later)).toBe("fresh");
    expect(window.size).toBe(1);
  });
});

describe("the ledger actor", () => {
  let directory = "";
  const stops: (() => Promise<void>)[] = [];
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "esper-ledger-"));
  });
  afterEach(async () => {
    // Those that a test left behind as if they had crashed.
    for (const stop of stops.splice(0)) await stop();
    await rm(directory, { recursive: true });
  });

  const config = (capacity = 64, strict = true) => ({
    directory,
    capacity,
    freshnessMs: 60_000,
    ttlMs: 65_000,
    strict,
  });

  async function start(clock = new TestClock(), capacity = 64, strict = true) {
    const { context, recorded } = testContext(nonceLedger, config(capacity, strict), clock);
    const state = await nonceLedger.setup(context);
    stops.push(async () => nonceLedger.stop?.(state, context));
    stops.push(async () => nonceLedger.stop?.(state, context));
    return {
      recorded,
      claim: (commandId: string, issuedAtMs = clock.wallMs) =>
        nonceLedger.receive.claim(state, { commandId, issuedAtMs }, context, callInfo),
      status: () => nonceLedger.receive.status(state, null, context, callInfo),
      stop: () => nonceLedger.stop?.(state, context),
    };
  }

  it("remembers a claim across a restart without a stop", async () => {
    const first = await start();
    expect(await first.claim("a")).toBe("fresh");
    const second = await start();
    expect(await second.claim("a")).toBe("replayed");
    expect(await second.claim("b")).toBe("fresh");
    expect(second.recorded.gauges.get("kasmina.nonce_ledger.size")).toBe(2);
    expect(second.recorded.gauges.get("kasmina.nonce_ledger.ttl_seconds")).toBe(65);
  });

  it("forgets expired claims after a restart, but never takes them for fresh", async () => {
    const clock = new TestClock();
    const issuedAtMs = clock.wallMs;
    await (await start(clock)).claim("a");
    clock.wallMs += 65_000;
    const again = await start(clock);
    expect(await again.status()).toEqual({ size: 0, capacity: 64, evictionsTotal: 1 });
    expect(again.recorded.counters.get("kasmina.nonce_ledger.evictions_total")).toBe(1);
    clock.wallMs -= 60_000;
    expect(await again.claim("a", issuedAtMs)).toBe("stale");
  });

  it("refuses when it is full, with a coded error, and says so", async () => {
    const ledger = await start();
    for (let index = 0; index < 64; index++) await ledger.claim(`c${index}`);
    await expect(ledger.claim("more")).rejects.toMatchObject({ code: "LEDGER_FULL" });
    expect(ledger.recorded.events.map(({ name }) => name)).toEqual(["nonce_ledger_full"]);
    expect(await ledger.claim("c0")).toBe("replayed");
  });

  it("refuses ids that are missing or too long", async () => {
    const ledger = await start();
    await expect(ledger.claim("")).rejects.toMatchObject({ code: "COMMAND_MISSING_ID" });
    await expect(ledger.claim("x".repeat(257))).rejects.toMatchObject({ code: "COMMAND_INVALID" });
  });

  it("keeps its log small, and the floor outlives the segments", async () => {
    const clock = new TestClock();
    const ledger = await start(clock, 8_192);
    const firstIssuedMs = clock.wallMs;
    const long = "x".repeat(240);
    for (let round = 0; round < 6; round++) {
      for (let index = 0; index < 200; index++) await ledger.claim(`${round}-${index}-${long}`);
      clock.wallMs += 65_000;
    }
    await ledger.claim("last");
    const names = await readdir(directory);
    const sizes = await Promise.all(
      names.map(async (name) => (await stat(join(directory, name))).size),
    );
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(2 * 131_072);
    clock.wallMs = firstIssuedMs;
    const again = await start(clock, 8_192);
    expect(await again.claim(`0-0-${long}`, firstIssuedMs)).toBe("stale");
  });

  it("lets nothing issued before a salvage pass", async () => {
    const clock = new TestClock();
    const ledger = await start(clock);
    for (const id of ["a", "b", "c"]) await ledger.claim(id);
    await ledger.stop();
    const [name] = await readdir(directory);
    const path = join(directory, name ?? "");
    const bytes = await readFile(path);
    bytes[90] = (bytes[90] as number) ^ 1;
    await writeFile(path, bytes);
    await expect(start(clock)).rejects.toMatchObject({ code: "WAL_CORRUPT" });
    const salvaged = await start(clock, 64, false);
    expect(await salvaged.claim("c")).toBe("stale");
    clock.wallMs += 1;
    expect(await salvaged.claim("d")).toBe("fresh");
  });

  it("refuses a configuration under which a used command could be replayed", () => {
    const tooShort = { ...config(), ttlMs: 64_999 };
    expect(nonceLedger.config?.safeParse(tooShort).success).toBe(false);
    expect(nonceLedger.config?.safeParse({ ...config(), capacity: 63 }).success).toBe(false);
    expect(nonceLedger.config?.safeParse({ ...config(), capacity: 1_048_577 }).success).toBe(false);
    expect(nonceLedger.config?.safeParse(config(1_048_576)).success).toBe(true);
  });
});
