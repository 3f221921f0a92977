import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NonceWindow } from "../../../../src/actors/ledger/nonce-window.ts";

const limits = { capacity: 4, freshnessMs: 60_000, ttlMs: 65_000 };
const NOW = 1_700_000_000_000;
const HOUR = 3_600_000;

const claim = (window: NonceWindow, id: string, issuedAtMs: number, nowMs: number) => {
  const verdict = window.judge(id, issuedAtMs, nowMs);
  if (verdict === "fresh") window.add({ commandId: id, issuedAtMs, claimedAtMs: nowMs });
  return verdict;
};

describe("the nonce window", () => {
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

  it("takes no place for a command that is stale, future, replayed or refused", () => {
    const window = new NonceWindow({ ...limits, capacity: 64 });
    for (let index = 0; index < 64; index++) claim(window, `c${index}`, NOW, NOW);
    for (const [id, issuedAtMs] of [
      ["x", NOW - 60_001],
      ["x", NOW + 5_001],
      ["c1", NOW],
      ["x", NOW],
    ] as const) {
      expect(claim(window, id, issuedAtMs, NOW)).not.toBe("fresh");
      expect(window.size).toBe(64);
    }
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

  it("keeps a place for a claim on its way, and gives it back when it fails", () => {
    const window = new NonceWindow(limits);
    for (const id of ["a", "b", "c"]) claim(window, id, NOW, NOW);
    window.reserve("d", NOW);
    expect(window.judge("d", NOW, NOW)).toBe("reserved");
    expect(window.judge("e", NOW, NOW)).toBe("full");
    window.withdraw("d");
    expect(window.judge("d", NOW, NOW)).toBe("fresh");
    expect(window.size).toBe(3);
  });

  it("never calls an evicted id fresh again, even when the clock jumps and comes back", () => {
    const window = new NonceWindow(limits);
    claim(window, "a", NOW, NOW);
    expect(window.expire(NOW + 1_000_000)).toBe(1);
    expect(claim(window, "a", NOW, NOW + 10)).toBe("stale");
    expect(claim(window, "b", NOW + 1, NOW + 10)).toBe("fresh");
  });

  it("goes on after a clock that ran an hour ahead for a moment was set back", () => {
    const window = new NonceWindow({ ...limits, capacity: 8 });
    const ahead = NOW + HOUR;
    for (const id of ["a", "b"]) expect(claim(window, id, ahead, ahead)).toBe("fresh");
    for (let round = 0; round < 20; round++) {
      const nowMs = NOW + round * limits.ttlMs;
      for (let index = 0; index < 6; index++) {
        expect(claim(window, `${round}-${index}`, nowMs, nowMs)).toBe("fresh");
      }
      expect(claim(window, "a", ahead, nowMs)).toBe("future");
    }
    // What was claimed by the wrong clock is remembered until the right one has passed it.
    expect(claim(window, "a", ahead, ahead)).toBe("replayed");
    expect(claim(window, "a", ahead, ahead + limits.ttlMs)).toBe("stale");
    expect(window.expire(ahead + 2 * limits.ttlMs)).toBe(0);
    expect(window.size).toBe(0);
  });

  it("remembers everything, and forgets it in time, under a clock that flutters", () => {
    const window = new NonceWindow({ ...limits, capacity: 1_000 });
    for (let index = 0; index < 500; index++) {
      const nowMs = NOW + (index % 50) * 137 - index;
      expect(claim(window, `c${index}`, nowMs, nowMs)).toBe("fresh");
    }
    for (let index = 0; index < 500; index++) {
      expect(window.judge(`c${index}`, NOW, NOW)).toBe("replayed");
    }
    expect(window.expire(NOW + 60_000 + limits.ttlMs, 10_000)).toBe(500);
  });

  it("calls no id fresh twice, for any times and any clock", () => {
    const step = fc.record({
      id: fc.integer({ min: 0, max: 5 }),
      ageMs: fc.integer({ min: -6_000, max: 70_000 }),
      moveMs: fc.oneof(
        fc.integer({ min: -80_000, max: 80_000 }),
        fc.integer({ min: -2 * HOUR, max: 2 * HOUR }),
      ),
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

  it("lets a wave of expiring entries go in slices, and never refuses for those left over", () => {
    const window = new NonceWindow({ ...limits, capacity: 100_000 });
    for (let index = 0; index < 100_000; index++) claim(window, `c${index}`, NOW, NOW);
    expect(claim(window, "more", NOW, NOW)).toBe("full");
    const later = NOW + limits.ttlMs;
    for (let index = 0; index < 100; index++) {
      expect(claim(window, `next-${index}`, later, later)).toBe("fresh");
    }
    // A claim pays for a few, not for the wave.
    expect(window.size).toBeGreaterThan(90_000);
    let slices = 0;
    while (window.expire(later, 2_048) > 0) slices++;
    expect(slices).toBeGreaterThan(40);
    expect(window).toMatchObject({ size: 100, evictionsTotal: 100_000 });
  });
});
