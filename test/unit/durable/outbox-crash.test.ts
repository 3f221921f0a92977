/**
 * An outbox against an oracle that knows only what the outbox was asked and what it answered: a
 * crash at every call of the disk, a full disk at every call, and long random histories.
 */
import { describe, expect, it } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import { LANES, type Lane } from "../../../src/protocols/protocol.ts";
import type { FailureOutcome, Outbox } from "../../../src/runtime/durable/outbox.ts";
import { createRandom, type Random } from "../../../src/runtime/random.ts";
import { TestClock } from "../../fixtures/context.ts";
import { MemoryFiles } from "../../fixtures/memory-files.ts";
import { type OpenedOutbox, openOutbox } from "../../fixtures/outbox.ts";

/** Small segments, so that every history goes over many; nothing is given up for want of room. */
const OPTIONS = {
  segmentBytes: 700,
  lanes: { bulk: { retriesMax: 1 } },
  retention: { keepMs: 5_000, keepRecords: 6, keepBytes: 10_000, deadMax: 3 },
} as const;
const NEVER_MS = 10_000_000;

/** What was asked and what was answered. "asked" may have happened or not; "done" has. */
type Knowledge = "no" | "asked" | "done";

class Oracle {
  readonly order: Record<Lane, string[]> = { system: [], emergency: [], control: [], bulk: [] };
  readonly kept = new Map<string, Knowledge>();
  readonly ended = new Map<string, Knowledge>();
  /** The last value that was promised, and every later one that was asked for. */
  readonly notes = new Map<string, (number | null)[]>();

  /** Does something; only its answer is believed. */
  async watch<T>(
    facts: (knowledge: Knowledge, answer: T | null) => void,
    work: () => Promise<T>,
  ): Promise<void> {
    facts("asked", null);
    try {
      facts("done", await work());
    } catch (error) {
      if (!EsperError.is(error)) throw error;
    }
  }

  /** What any restart must find. */
  check({ outbox, clock }: OpenedOutbox): void {
    clock.wallMs += NEVER_MS;
    for (const lane of LANES) {
      const found = outbox.next(10_000, [lane]).map(({ id }) => id);
      const expected = this.order[lane];
      expect(found).toEqual(expected.filter((id) => found.includes(id)));
      for (const id of expected) {
        const isThere = found.includes(id);
        if (this.ended.get(id) === "done") expect([id, isThere]).toEqual([id, false]);
        else if (this.kept.get(id) === "done" && !this.ended.has(id)) {
          expect([id, isThere]).toEqual([id, true]);
        }
      }
    }
    for (const [key, allowed] of this.notes) {
      const value = outbox.notes("").get(key)?.[0] ?? null;
      expect(allowed).toContain(value);
    }
  }
}

/** One step of a history. */
type Step = (outbox: Outbox, oracle: Oracle, clock: TestClock) => Promise<void>;

function put(
  id: string,
  lane: Lane,
  note: readonly [key: string, value: number | null] | null,
): Step {
  return (outbox, oracle, clock) => {
    oracle.order[lane].push(id);
    const notes =
      note === null
        ? []
        : [{ key: note[0], bytes: note[1] === null ? null : Uint8Array.of(note[1]) }];
    const payload = new Uint8Array(40).fill(id.length);
    return oracle.watch(
      (knowledge) => {
        oracle.kept.set(id, knowledge);
        if (note === null) return;
        const [key, value] = note;
        const before = oracle.notes.get(key) ?? [null];
        oracle.notes.set(key, knowledge === "done" ? [value] : [...before, value]);
      },
      () => outbox.put({ id, lane, subject: "s", payload, notes, timeMs: clock.wallMs }),
    );
  };
}

/** An end is one only if the answer says that it was. */
function end<T>(
  id: string,
  how: (outbox: Outbox) => Promise<T>,
  ended: (answer: T) => boolean,
): Step {
  return (outbox, oracle) => {
    const before = oracle.ended.get(id);
    return oracle.watch(
      (knowledge, answer) => {
        if (before === "done") return;
        if (answer === null || ended(answer)) oracle.ended.set(id, knowledge);
        else if (before === undefined) oracle.ended.delete(id);
      },
      () => how(outbox),
    );
  };
}

const died = ({ outcome }: FailureOutcome): boolean => outcome === "dead";
const acknowledgeOne = (id: string): Step =>
  end(
    id,
    (outbox) => outbox.acknowledge([id]),
    (count) => count === 1,
  );
const acknowledge = (...ids: string[]): Step => together(...ids.map(acknowledgeOne));
const refuse = (id: string): Step =>
  end(id, (outbox) => outbox.fail(id, "no", { never: true }), died);
const fail = (id: string): Step => end(id, (outbox) => outbox.fail(id, "busy"), died);
const quietly =
  (work: (outbox: Outbox) => Promise<unknown>): Step =>
  (outbox, oracle) =>
    oracle.watch(
      () => undefined,
      () => work(outbox),
    );
const compact: Step = quietly((outbox) => outbox.compact());
const together =
  (...steps: readonly Step[]): Step =>
  async (outbox, oracle, clock) => {
    await Promise.all(steps.map((step) => step(outbox, oracle, clock)));
  };

const HISTORY: readonly Step[] = [
  put("a", "bulk", ["w", 1]),
  together(put("b", "bulk", null), put("c", "emergency", null), put("d", "control", ["v", 1])),
  acknowledge("b"),
  fail("a"),
  put("e", "bulk", ["w", 2]),
  compact,
  together(acknowledge("a", "d"), put("f", "bulk", ["v", null]), put("g", "bulk", ["w", 3])),
  refuse("c"),
  together(compact, put("h", "control", ["w", 4]), acknowledge("e")),
  put("i", "bulk", ["w", null]),
  compact,
  acknowledge("h"),
  put("j", "bulk", null),
];

/** Plays the history and closes the log, whatever the disk does. */
async function play(files: MemoryFiles, steps = HISTORY) {
  const oracle = new Oracle();
  const clock = new TestClock();
  let opened: OpenedOutbox | null = null;
  await oracle.watch(
    () => undefined,
    async () => {
      opened = await openOutbox(OPTIONS, files, clock);
    },
  );
  // Assigned in the closure above.
  const outbox = opened as OpenedOutbox | null;
  for (const step of outbox === null ? [] : steps) {
    clock.wallMs += 100;
    if (outbox !== null) await step(outbox.outbox, oracle, clock);
  }
  return { oracle, opened: outbox, clock };
}

async function callsOfHistory(): Promise<number> {
  const files = new MemoryFiles();
  await play(files);
  return files.operations;
}

describe("a crash at every call", () => {
  it("loses nothing that was put, and brings nothing back that was settled", async () => {
    const calls = await callsOfHistory();
    expect(calls).toBeGreaterThan(60);
    for (let from = 1; from <= calls + 1; from++) {
      const files = new MemoryFiles();
      // From this call on nothing reaches the disk any more.
      files.fault = (_operation, _path, count) => (count >= from ? "EIO" : null);
      const { oracle, clock } = await play(files);
      files.fault = () => null;
      for (const found of [files.crashed(), files.killed()]) {
        const again = await openOutbox(OPTIONS, found, clock);
        oracle.check(again);
        await again.put("after", "system");
        expect(again.next(1)).toEqual(["after"]);
      }
    }
  });

  it("of which the caller sees each: what cannot be written is refused", async () => {
    const calls = await callsOfHistory();
    for (const code of ["ENOSPC", "EIO"]) {
      for (let at = 1; at <= calls; at++) {
        const files = new MemoryFiles();
        files.fault = (_operation, _path, count) => (count === at ? code : null);
        const { oracle, opened, clock } = await play(files);
        files.fault = () => null;
        const again = await openOutbox(OPTIONS, files.crashed(), clock);
        oracle.check(again);
        // A full disk is over when there is room: the same outbox goes on.
        if (opened === null || opened.wal.status.poisoned) continue;
        await opened.outbox.tidy();
        await opened.put("after", "system");
        oracle.order.system.push("after");
        oracle.check(opened);
        oracle.check(await openOutbox(OPTIONS, files.crashed(), clock));
      }
    }
  });
});

function randomStep(random: Random, ids: string[], index: number): Step {
  const pick = random.integer(12);
  const known = ids[random.integer(Math.max(1, ids.length))] ?? "none";
  if (pick === 0) return compact;
  if (pick === 1) return quietly((outbox) => outbox.tidy());
  if (pick === 2) return fail(known);
  if (pick === 3 && ids.length > 0) return refuse(known);
  if (pick < 6 && ids.length > 0) return acknowledge(known, ids[0] ?? known);
  const id = `id${index}`;
  ids.push(id);
  const lane = LANES[random.integer(LANES.length)] ?? "bulk";
  const value = random.integer(8);
  const note = [`n${random.integer(3)}`, value === 0 ? null : value] as const;
  return put(id, lane, random.integer(3) === 0 ? null : note);
}

describe("long random histories", () => {
  it("add up to the same after every restart and compaction", async () => {
    for (let seed = 1; seed <= 30; seed++) {
      const random = createRandom(seed, "outbox");
      const clock = new TestClock();
      const oracle = new Oracle();
      const ids: string[] = [];
      let opened = await openOutbox(OPTIONS, new MemoryFiles(), clock);
      for (let index = 0; index < 60; index++) {
        clock.wallMs += 50;
        const count = 1 + random.integer(3);
        const steps = Array.from({ length: count }, (_, at) =>
          randomStep(random, ids, 10 * index + at),
        );
        await together(...steps)(opened.outbox, oracle, clock);
        if (random.integer(10) > 0) continue;
        const live = opened.outbox.status;
        opened = await opened.again(opened.files.crashed());
        expect(opened.outbox.status, `seed ${seed}, step ${index}`).toEqual(live);
        oracle.check(opened);
      }
    }
  });

  it("take no more room than what is still needed", async () => {
    const { put: keep, outbox, wal } = await openOutbox({ ...OPTIONS, segmentBytes: 2_000 });
    let most = 0;
    for (let round = 0; round < 200; round++) {
      const ids = Array.from({ length: 10 }, (_, index) => `r${round}-${index}`);
      await Promise.all(ids.map((id) => keep(id, "control")));
      await outbox.acknowledge(ids);
      if (round % 5 === 4) await outbox.compact();
      most = Math.max(most, wal.status.bytes);
    }
    // 2,000 entries of about 90 bytes and their ends: without compaction more than 300 KB.
    expect(most).toBeLessThan(16_000);
    expect(outbox.status.lanes.control).toMatchObject({ accepted: 2_000, acknowledged: 2_000 });
  });
});
