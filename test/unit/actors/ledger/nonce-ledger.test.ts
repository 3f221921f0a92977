import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nonceLedger } from "../../../../src/actors/ledger/nonce-ledger.actor.ts";
import { callInfo, TestClock, testContext } from "../../../fixtures/context.ts";

const RUN = "run-1";
const id = (name: string): string => `${RUN}/1/${name}`;

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
    runId: RUN,
    capacity,
    freshnessMs: 60_000,
    ttlMs: 65_000,
    strict,
  });

  async function start(clock = new TestClock(), capacity = 64, strict = true) {
    const made = testContext(nonceLedger, config(capacity, strict), clock);
    const { recorded } = made;
    const ticks: (() => void)[] = [];
    const later = (_delayMs: number, fire: () => void) => {
      ticks.push(fire);
      return { cancel: () => undefined };
    };
    const context = { ...made.context, every: later, after: later };
    const state = await nonceLedger.setup(context);
    stops.push(async () => nonceLedger.stop?.(state, context));
    stops.push(async () => nonceLedger.stop?.(state, context));
    return {
      recorded,
      ticks,
      claim: async (name: string, issuedAtMs = clock.wallMs) =>
        nonceLedger.receive.claim(state, { commandId: id(name), issuedAtMs }, context, callInfo),
      claimWhole: async (commandId: string) => {
        const payload = { commandId, issuedAtMs: clock.wallMs };
        return nonceLedger.receive.claim(state, payload, context, callInfo);
      },
      status: () => nonceLedger.receive.status(state, null, context, callInfo),
      stop: () => nonceLedger.stop?.(state, context),
    };
  }

  it("remembers a claim across a restart without a stop", async () => {
    const first = await start();
    expect(await first.claim("1")).toBe("fresh");
    const second = await start();
    expect(await second.claim("1")).toBe("replayed");
    expect(await second.claim("2")).toBe("fresh");
    expect(second.recorded.gauges.get("kasmina.nonce_ledger.size")).toBe(2);
    expect(second.recorded.gauges.get("kasmina.nonce_ledger.ttl_seconds")).toBe(65);
  });

  it("forgets expired claims after a restart, but never takes them for fresh", async () => {
    const clock = new TestClock();
    const issuedAtMs = clock.wallMs;
    await (await start(clock)).claim("1");
    clock.wallMs += 65_000;
    const again = await start(clock);
    expect(await again.status()).toMatchObject({
      size: 0,
      capacity: 64,
      evictionsTotal: 1,
      failure: null,
    });
    expect(again.recorded.counters.get("kasmina.nonce_ledger.evictions_total")).toBe(1);
    clock.wallMs -= 60_000;
    expect(await again.claim("1", issuedAtMs)).toBe("stale");
  });

  it("refuses when it is full, with a coded error, and says so", async () => {
    const ledger = await start();
    for (let index = 0; index < 64; index++) await ledger.claim(String(index));
    await expect(ledger.claim("999")).rejects.toMatchObject({ code: "LEDGER_FULL" });
    expect(ledger.recorded.events.map(({ name }) => name)).toEqual(["nonce_ledger_full"]);
    expect(await ledger.claim("0")).toBe("replayed");
  });

  it("refuses ids that are missing, too long or of another run, and keeps no place", async () => {
    const ledger = await start();
    await expect(ledger.claimWhole("")).rejects.toMatchObject({ code: "COMMAND_MISSING_ID" });
    const others = ["run-2/1/1", "run-1/1", "run-1/0/1", "run-11/1/1", id("1".repeat(300))];
    for (const other of others) {
      await expect(ledger.claimWhole(other)).rejects.toMatchObject({ code: "COMMAND_INVALID" });
    }
    expect(await ledger.status()).toMatchObject({ size: 0 });
  });

  it("lets a wave of entries expire without any command, in slices", async () => {
    const clock = new TestClock();
    const ledger = await start(clock, 8_192);
    for (let from = 0; from < 5_000; from += 1_000) {
      const names = Array.from({ length: 1_000 }, (_, index) => String(from + index));
      await Promise.all(names.map((name) => ledger.claim(name)));
    }
    clock.wallMs += 65_000;
    const sizes: (number | undefined)[] = [];
    for (let tick = ledger.ticks.shift(); tick !== undefined; tick = ledger.ticks.shift()) {
      tick();
      sizes.push(ledger.recorded.gauges.get("kasmina.nonce_ledger.size"));
    }
    expect(sizes).toEqual([2_952, 904, 0]);
    expect(ledger.recorded.counters.get("kasmina.nonce_ledger.evictions_total")).toBe(5_000);
  });

  it("keeps its log small, and the floor outlives the segments", async () => {
    const clock = new TestClock();
    const ledger = await start(clock, 8_192);
    const firstIssuedMs = clock.wallMs;
    const name = (round: number, index: number) => `${round + 1}${String(index).padStart(14, "0")}`;
    for (let round = 0; round < 6; round++) {
      await Promise.all(
        Array.from({ length: 900 }, (_, index) => ledger.claim(name(round, index))),
      );
      clock.wallMs += 65_000;
    }
    await ledger.claim("77");
    const names = await readdir(directory);
    const sizes = await Promise.all(
      names.map(async (name) => (await stat(join(directory, name))).size),
    );
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(2 * 131_072);
    clock.wallMs = firstIssuedMs;
    const again = await start(clock, 8_192);
    expect(await again.claim(name(0, 0), firstIssuedMs)).toBe("stale");
  });

  it("lets nothing issued before a salvage pass", async () => {
    const clock = new TestClock();
    const ledger = await start(clock);
    for (const name of ["1", "2", "3"]) await ledger.claim(name);
    await ledger.stop();
    const [name] = await readdir(directory);
    const path = join(directory, name ?? "");
    const bytes = await readFile(path);
    bytes[90] = (bytes[90] as number) ^ 1;
    await writeFile(path, bytes);
    await expect(start(clock)).rejects.toMatchObject({ code: "WAL_CORRUPT" });
    const salvaged = await start(clock, 64, false);
    expect(await salvaged.claim("3")).toBe("stale");
    // Also in a later life, of whose log nothing is broken any more.
    const issuedAtMs = clock.wallMs;
    await salvaged.stop();
    clock.wallMs += 1;
    const again = await start(clock);
    expect(await again.claim("3", issuedAtMs)).toBe("stale");
    expect(await again.claim("4")).toBe("fresh");
  });

  it("refuses a configuration under which a used command could be replayed", () => {
    const tooShort = { ...config(), ttlMs: 64_999 };
    expect(nonceLedger.config?.safeParse(tooShort).success).toBe(false);
    expect(nonceLedger.config?.safeParse({ ...config(), capacity: 63 }).success).toBe(false);
    expect(nonceLedger.config?.safeParse({ ...config(), capacity: 1_048_577 }).success).toBe(false);
    expect(nonceLedger.config?.safeParse(config(1_048_576)).success).toBe(true);
  });
});
