/** Tokens between real threads: one thread polls without a pause, the other cancels. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { afterEach, describe, expect, it } from "vitest";
import type { TokenHandle } from "../../dist/runtime/token-table.js";

const { CancellationToken } = await import("../../dist/runtime/token.js");
const { attachTable, detachTable, ownTable, sweepTable, tokenTableMemory } = await import(
  "../../dist/runtime/token-table.js"
);

const LIMIT_MS = 5_000;
/** The clock that is exactly the same in every thread. */
const nowMs = () => Number(process.hrtime.bigint()) / 1e6;
let nextTable = 1;
const running = new Set<Poller>();

afterEach(async () => {
  await Promise.all([...running].map((poller) => poller.end()));
});

/** The other thread, its table and the board on which it shows what it saw. */
class Poller {
  readonly own: { readonly id: number; readonly memory: SharedArrayBuffer };
  readonly #board = new SharedArrayBuffer(16);
  readonly #words = new Int32Array(this.#board, 0, 2);
  readonly worker: Worker;

  /** A successor gets the table of the thread that is gone. */
  constructor(predecessor?: Poller) {
    const own = predecessor?.own ?? { id: nextTable++, memory: tokenTableMemory() };
    this.own = own;
    attachTable(own.id, own.memory);
    const { id, memory } = ownTable();
    const entry = new URL("../fixtures/threads/token-poller.mjs", import.meta.url);
    const workerData = { tables: [{ id, memory }], own, board: this.#board };
    this.worker = new Worker(entry, { workerData });
    running.add(this);
  }

  send(order: string, more: object = {}): void {
    this.#words.fill(0);
    this.worker.postMessage({ order, limitMs: LIMIT_MS, ...more });
  }

  async answer<T = { cancelled: boolean; reason: string | null }>(): Promise<T> {
    const [answer] = await once(this.worker, "message", { signal: AbortSignal.timeout(LIMIT_MS) });
    return answer as T;
  }

  /** Waits, busy as the other thread is, for what it writes at `place`. */
  awaitWord(place: 0 | 1): void {
    const endsAtMs = nowMs() + LIMIT_MS;
    while (Atomics.load(this.#words, place) === 0) {
      if (nowMs() > endsAtMs) throw new Error(`word ${place} was not set`);
    }
  }

  get seenAtMs(): number {
    return new Float64Array(this.#board, 8, 1)[0] ?? Number.NaN;
  }

  async end(): Promise<void> {
    running.delete(this);
    await this.worker.terminate();
    detachTable(this.own.id);
  }
}

describe("a thread that polls a token without a pause", () => {
  it("sees the cancellation of another thread while it computes", async () => {
    const poller = new Poller();
    const tookUs: number[] = [];
    for (let round = 0; round < 300; round++) {
      const token = new CancellationToken();
      poller.send("poll", { handle: token.lend() });
      poller.awaitWord(0);
      const cancelledAtMs = nowMs();
      token.cancel("stopped");
      poller.awaitWord(1);
      tookUs.push((poller.seenAtMs - cancelledAtMs) * 1_000);
      expect(await poller.answer()).toEqual({ cancelled: true, reason: "stopped" });
      token.returned();
    }
    tookUs.sort((left, right) => left - right);
    // A busy machine takes the processor away from one thread or the other in many rounds.
    expect(tookUs[30]).toBeLessThan(200);
    expect(ownTable().used).toBe(0);
  });

  it("sees it on a child that only that thread knows", async () => {
    const poller = new Poller();
    const token = new CancellationToken();
    poller.send("poll-child", { handle: token.handle });
    poller.awaitWord(0);
    token.cancel();
    poller.awaitWord(1);
    expect(await poller.answer()).toEqual({ cancelled: true, reason: "requested" });
    token.release();
  });

  it("sees that the owner gave the token up", async () => {
    const poller = new Poller();
    const token = new CancellationToken();
    poller.send("poll", { handle: token.lend() });
    poller.awaitWord(0);
    token.returned();
    expect(await poller.answer()).toEqual({ cancelled: true, reason: "released" });
    expect(token.cancelled).toBe(false);
  });

  it("sees on its own token what another thread did", async () => {
    const poller = new Poller();
    poller.send("make");
    const { handle } = await poller.answer<{ handle: TokenHandle }>();
    const copy = CancellationToken.attach(handle);
    expect([copy.handle.table, copy.cancelled]).toEqual([poller.own.id, false]);
    copy.cancel("stuck");
    expect(await poller.answer()).toEqual({ cancelled: true, reason: "stuck" });
  });
});

describe("a thread that waits", () => {
  it("is told by the runtime, and its listeners run then", async () => {
    const poller = new Poller();
    const token = new CancellationToken();
    const ran: string[] = [];
    token.onCancel(() => ran.push("here"));
    poller.send("cancel", { handle: token.handle });
    expect((await poller.answer()).reason).toBe("stuck");
    expect([token.cancelled, token.reason, ran]).toEqual([true, "stuck", []]);
    expect([token.noticed(), ran]).toEqual([true, ["here"]]);
    token.release();
  });
});

describe("a thread that is gone", () => {
  it("takes its tokens with it, and its successor's are new ones", async () => {
    const poller = new Poller();
    poller.send("make", { limitMs: 1 });
    const { handle } = await poller.answer<{ handle: TokenHandle }>();
    const copy = CancellationToken.attach(handle);
    await poller.answer();
    poller.send("exit");
    await once(poller.worker, "exit");
    expect(copy.cancelled).toBe(false);
    sweepTable(poller.own.id);
    expect(copy.reason).toBe("caller-gone");
    const successor = new Poller(poller);
    successor.send("make");
    const { handle: later } = await successor.answer<{ handle: TokenHandle }>();
    expect(later).toEqual({ ...handle, generation: handle.generation + 1 });
    expect(CancellationToken.attach(handle).cancelled).toBe(true);
    CancellationToken.attach(later).cancel();
    expect((await successor.answer()).reason).toBe("requested");
  });
});
