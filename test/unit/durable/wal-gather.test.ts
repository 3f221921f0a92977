import { describe, expect, it } from "vitest";
import type { OpenFile, OpenMode } from "../../../src/runtime/durable/files.ts";
import { Wal } from "../../../src/runtime/durable/wal.ts";
import { Gathering } from "../../../src/runtime/durable/wal-gather.ts";
import { VirtualClock } from "../../../src/runtime/testkit/virtual-clock.ts";
import { DIRECTORY, LightFiles, record } from "./wal-support.ts";

const SYNC_MS = 4;

/** Lets everything that is ready run. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 60; turn++) await null;
}

/** True while the pause goes on. */
async function isPausing(pause: Promise<void>): Promise<boolean> {
  let isOver = false;
  void pause.then(() => {
    isOver = true;
  });
  await settle();
  return !isOver;
}

describe("the pause before a flush", () => {
  it("waits for as many as were just answered and wait, and no longer", async () => {
    const gathering = new Gathering(new VirtualClock());
    expect(await isPausing(gathering.pause(1))).toBe(false);
    gathering.flushed(100, 0, SYNC_MS);
    const pause = gathering.pause(1);
    gathering.arrived(89);
    expect(await isPausing(pause)).toBe(true);
    gathering.arrived(90);
    expect(await isPausing(pause)).toBe(false);
  });

  it("is never made for one who appends alone, nor on a disk as fast as memory", async () => {
    const gathering = new Gathering(new VirtualClock());
    gathering.flushed(1, 0, SYNC_MS);
    expect(await isPausing(gathering.pause(1))).toBe(false);
    gathering.flushed(100, 0, 0.1);
    expect(await isPausing(gathering.pause(1))).toBe(false);
  });

  it("lasts half a flush at most, and none is made after a quiet time", async () => {
    const clock = new VirtualClock();
    const gathering = new Gathering(clock);
    gathering.flushed(100, 0, 2);
    const pause = gathering.pause(1);
    clock.advance(0.9);
    expect(await isPausing(pause)).toBe(true);
    clock.advance(0.2);
    expect(await isPausing(pause)).toBe(false);
    gathering.flushed(100, 0, 2);
    clock.advance(1.1);
    expect(await isPausing(gathering.pause(1))).toBe(false);
  });

  it("is made less and less often when it does not pay", async () => {
    const clock = new VirtualClock();
    const gathering = new Gathering(clock);
    let pauses = 0;
    for (let flush = 0; flush < 640; flush++) {
      gathering.flushed(100, 100, SYNC_MS);
      const pause = gathering.pause(100);
      if (await isPausing(pause)) pauses++;
      clock.advance(3);
      await pause;
    }
    expect(pauses).toBeGreaterThan(8);
    expect(pauses).toBeLessThan(20);
  });
});

/** A disk whose fsync takes a while, and that counts them. */
class TimedDisk extends LightFiles {
  readonly #clock: VirtualClock;
  syncs = 0;
  isSlow = false;

  constructor(clock: VirtualClock) {
    super();
    this.#clock = clock;
  }

  override async open(path: string, mode: OpenMode): Promise<OpenFile> {
    const file = await super.open(path, mode);
    const sync = () =>
      new Promise<void>((resolve) => {
        this.syncs++;
        this.#clock.after(SYNC_MS, resolve);
        if (!this.isSlow) resolve();
      });
    return { ...file, sync };
  }
}

async function timedLog() {
  const clock = new VirtualClock();
  const files = new TimedDisk(clock);
  const wal = await Wal.open({ files, directory: DIRECTORY, clock });
  files.isSlow = true;
  return { clock, files, wal };
}

async function run(clock: VirtualClock, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 0.25) {
    clock.advance(0.25);
    await settle();
  }
}

describe("a log with writers that append again when they are answered", () => {
  it("keeps them in one group although their next records come a little later", async () => {
    const { clock, files, wal } = await timedLog();
    let count = 0;
    const append = (): void => {
      void wal.append(record(1)).then(() => {
        count++;
        clock.after(0.5, append);
      });
    };
    for (let writer = 0; writer < 16; writer++) append();
    await run(clock, 400);
    // Two groups that take turns would make it eight.
    expect(count / files.syncs).toBeGreaterThan(14);
  });

  it("answers records that come at their own pace after two flushes or little more", async () => {
    const { clock, wal } = await timedLog();
    const latencies: number[] = [];
    const append = (): void => {
      const sentMs = clock.monotonicMs();
      void wal.append(record(1)).then(() => latencies.push(clock.monotonicMs() - sentMs));
      clock.after(0.5, append);
    };
    append();
    await run(clock, 1_000);
    expect(latencies.length).toBeGreaterThan(1_900);
    latencies.sort((one, other) => one - other);
    expect(latencies[Math.floor(latencies.length * 0.99)]).toBeLessThan(2.6 * SYNC_MS);
  });
});
