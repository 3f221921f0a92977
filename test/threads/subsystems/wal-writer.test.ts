/** The write-ahead log's writer on its own thread and a real disk. */
import { expect, it } from "vitest";
import { WalProtocol } from "../../../dist/protocols/actors/durable.js";
import { probe } from "../../fixtures/actors/thread-probe.mjs";
import { ProducerProtocol, producer } from "../../fixtures/actors/wal-producer.mjs";
import { actor, CancellationToken, startThreads, supervisor } from "../built.ts";
import {
  burst,
  DEADLINE,
  expectOwnThread,
  killAndAwait,
  newDirectory,
  pause,
  RETRY,
  readLog,
  whileKilled,
} from "./support.ts";

const { walWriter } = await import("../../../dist/actors/wal/wal-writer.actor.js");

const CAPACITY = 32;
const PRODUCERS = ["producer-1", "producer-2", "producer-3", "producer-4"];

interface Produced {
  readonly confirmed: readonly string[];
  readonly refused: readonly string[];
}

async function begin(options: { directory?: string; overflow?: "wait" | "reject" } = {}) {
  const { directory = newDirectory(), overflow = "wait" } = options;
  const config = () => ({ directory, strict: true, retentionHours: 24 });
  const mailbox = { capacity: CAPACITY, overflow };
  const producers = Object.fromEntries(
    PRODUCERS.map((name) => [name, actor(producer, { thread: name })]),
  );
  const started = await startThreads(
    supervisor({
      ...{ intensity: 10, periodMs: 1_000 },
      children: {
        wal: actor(walWriter, { thread: "durable", config, mailbox }),
        probe: actor(probe, { thread: "durable" }),
        ...producers,
      },
    }),
  );
  const ref = started.system.ref(WalProtocol, "wal");
  const entry = (id: string) => ({ recordId: id, timeMs: 1, bytes: new TextEncoder().encode(id) });
  const append = (id: string, options: Parameters<typeof ref.call>[2] = DEADLINE) =>
    ref.call("append", { records: [entry(id)] }, options);
  /** Every producer in its own thread, `inFlight` appends of each on their way. */
  const produce = async (count: number, inFlight: number): Promise<Produced[]> =>
    Promise.all(
      PRODUCERS.map(
        (name) =>
          started.system
            .ref(ProducerProtocol, name)
            .call("produce", { prefix: name, count, inFlight }, DEADLINE) as Promise<Produced>,
      ),
    );
  return { ...started, ref, append, produce, directory };
}

const idsOf = async (directory: string) => (await readLog(directory)).map(({ id }) => id);

it("runs on its own worker thread", async () => {
  const { system } = await begin();
  await expectOwnThread(system, "wal", "durable");
});

it("writes exactly what it confirms of what many threads ask for at once", async () => {
  const { system, produce, ref, directory } = await begin();
  const all = await produce(500, 64);
  const confirmed = all.flatMap((one) => one.confirmed);
  // A full mailbox makes a sender wait; nothing is refused.
  expect(all.flatMap(({ refused }) => refused)).toEqual([]);
  expect(confirmed).toHaveLength(4 * 500);
  expect((await ref.call("status", null, DEADLINE)).records).toBe(confirmed.length);
  await system.stop({ graceMs: 3_000 });
  const ids = await idsOf(directory);
  expect([...ids].sort()).toEqual([...confirmed].sort());
  // In the order in which each producer asked.
  for (const name of PRODUCERS) {
    const own = ids.filter((id) => id.startsWith(`${name}-`));
    expect(own).toEqual(own.map((_, index) => `${name}-${index}`));
  }
});

it("refuses what its mailbox cannot hold where it is told to, and keeps what it took", async () => {
  const { system, append, ref, directory } = await begin({ overflow: "reject" });
  const ends = await burst(4_000, (index) => append(`r${index}`));
  expect(new Set(ends)).toEqual(new Set(["value", "MAILBOX_FULL"]));
  const accepted = ends.flatMap((end, index) => (end === "value" ? [`r${index}`] : []));
  expect(accepted.length).toBeGreaterThanOrEqual(CAPACITY);
  expect((await ref.call("status", null, DEADLINE)).records).toBe(accepted.length);
  await system.stop({ graceMs: 3_000 });
  expect(await idsOf(directory)).toEqual(accepted);
});

it("loses nothing it confirmed when its thread is killed among many appends", async () => {
  const { system, events, produce, directory } = await begin();
  const producing = produce(300, 64);
  for (let kill = 0; kill < 2; kill++) {
    await pause(20);
    await killAndAwait(system, events, "wal");
  }
  const all = await producing;
  const confirmed = all.flatMap((one) => one.confirmed);
  expect(all.flatMap(({ refused }) => refused)).toEqual([]);
  await system.stop({ graceMs: 3_000 });
  const ids = await idsOf(directory);
  expect(new Set(ids).size).toBe(ids.length);
  expect([...ids].sort()).toEqual([...confirmed].sort());
});

it("writes nothing for a call after it was cancelled", async () => {
  const { system, append, directory } = await begin();
  const first = append("first");
  const queued = Array.from({ length: 12 }, () => new CancellationToken());
  const ends = burst(12, (index) =>
    append(`queued-${index}`, { ...DEADLINE, token: queued[index]! }),
  );
  // All of them wait behind the first; the last six are cancelled before their turn.
  for (const token of queued.slice(6)) token.cancel();
  const handled = new CancellationToken();
  await first;
  const inHand = burst(1, () => append("in-hand", { ...DEADLINE, token: handled }));
  await pause(1);
  handled.cancel();
  const codes = [...(await ends), ...(await inHand)];
  expect(codes.slice(0, 6)).toEqual(Array(6).fill("value"));
  expect(codes.slice(6, 12)).toEqual(Array(6).fill("CANCELLED"));
  await append("marker");
  await pause(30);
  await system.stop({ graceMs: 3_000 });
  const ids = await idsOf(directory);
  for (let index = 6; index < 12; index++) expect(ids).not.toContain(`queued-${index}`);
  // One that was being written when it was cancelled is there or not, but never comes later.
  expect(ids.at(-1)).toBe("marker");
});

it("loses and doubles nothing when its thread is killed twice in the middle", async () => {
  const undisturbed = await begin();
  const disturbed = await begin();
  const sequences: unknown[] = [];
  for (const one of [undisturbed, disturbed]) {
    const plan = { steps: 120, killedBefore: one === disturbed ? [40, 80] : [] };
    const append = async (index: number) => (await one.append(`r${index}`, RETRY)).sequences;
    sequences.push(await whileKilled(one, "wal", plan, append));
  }
  expect(disturbed.system.restarts).toBeGreaterThanOrEqual(4);
  const status = await disturbed.ref.call("status", null, DEADLINE);
  expect(status.recovered).toBeGreaterThanOrEqual(80);
  expect(sequences[1]).toEqual(sequences[0]);
  await undisturbed.system.stop({ graceMs: 3_000 });
  await disturbed.system.stop({ graceMs: 3_000 });
  expect(await readLog(disturbed.directory)).toEqual(await readLog(undisturbed.directory));
});
