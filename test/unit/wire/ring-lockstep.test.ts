/**
 * The model speaks of the code: the real ring and wake functions run side by side with the model's
 * steps, and every atomic access they make must be the next step of the model, with the same
 * words afterwards. At any access the other thread may run first, as a seeded schedule decides.
 */
import { afterEach, describe, expect, it, vi } from "vitest";
import { createRandom } from "../../../src/runtime/random.ts";
import {
  HEAD,
  RingConsumer,
  RingProducer,
  ROOM_REQUEST,
  ringMemory,
  TAIL,
} from "../../../src/runtime/wire/ring.ts";
import { STATE, ThreadBlock, threadBlockMemory } from "../../../src/runtime/wire/thread-block.ts";
import { park, resume, wakeIfIdle } from "../../../src/runtime/wire/wake.ts";
import { CONSUMER, PRODUCER, stepConsumer, stepProducer } from "../../model/ring-model.ts";
import { initialState, type RingSettings, type RingState } from "../../model/ring-state.ts";

/** Eight slots of 128 bytes, 120 of them payload. */
const CAPACITY_BYTES = 1_024;
const PAYLOAD_BYTES = 120;
const RECORD_BYTES = 128;
const TURN = 3;
const SETTINGS: RingSettings = { messages: 600, capacity: 8, batch: 2, turn: TURN };
/** The first counter value: the counters pass 2^31 while the test runs. */
const FIRST_BYTE = 2 ** 31 - 100 * RECORD_BYTES;

type Thread = "producer" | "consumer";
type Access = "load" | "store" | "cas";

/** Steps that are no atomic access: the code does them between two. */
const isPlain = (at: string): boolean => !at.includes(":");

class Lockstep {
  readonly model: RingState = initialState(SETTINGS);
  readonly memory: SharedArrayBuffer;
  readonly producerBlock = new ThreadBlock(threadBlockMemory());
  readonly consumerBlock = new ThreadBlock(threadBlockMemory());
  readonly received: number[] = [];
  readonly compared = new Set<string>();
  readonly producer: RingProducer;
  readonly consumer: RingConsumer;
  readonly #random: () => number;
  readonly #asleep = { producer: false, consumer: false };
  running: Thread | null = null;
  nested = false;

  constructor(seed: number) {
    const random = createRandom(seed, "lockstep");
    this.#random = () => random.next();
    this.memory = ringMemory(CAPACITY_BYTES);
    const words = new Int32Array(this.memory, 0, 64);
    words[TAIL] = FIRST_BYTE | 0;
    words[HEAD] = FIRST_BYTE | 0;
    this.producer = new RingProducer(this.memory);
    this.consumer = new RingConsumer(this.memory);
    this.producerBlock.own();
    this.consumerBlock.own();
  }

  chance(share: number): boolean {
    return this.#random() < share;
  }

  /** The name of a word in the model, or null for a word that is not part of the protocol. */
  wordName(array: Int32Array, index: number): string | null {
    const isState =
      array.buffer === this.producerBlock.memory || array.buffer === this.consumerBlock.memory;
    if (isState) return index === STATE ? "STATE" : null;
    return { [TAIL]: "TAIL", [HEAD]: "HEAD", [ROOM_REQUEST]: "ROOM_REQUEST" }[index] ?? null;
  }

  /** The real code is about to make an access: the model must be about to make the same. */
  before(access: Access, array: Int32Array, index: number): void {
    const thread = this.running;
    const word = this.wordName(array, index);
    if (thread === null || word === null) return;
    if (!this.nested && this.chance(0.08)) this.#interrupt(thread);
    this.skipPlain(thread);
    const expected = this.model[thread].at;
    expect(expected.replace(/ back$/, "")).toMatch(new RegExp(`: ${access} ${word}$`));
    this.compared.add(`${thread} ${expected}`);
    this.step(thread);
  }

  step(thread: Thread): void {
    const { model } = this;
    const broken =
      thread === "producer"
        ? stepProducer(model, SETTINGS)
        : stepConsumer(model, model.consumer, SETTINGS);
    expect(broken).toBeNull();
  }

  skipPlain(thread: Thread): void {
    while (isPlain(this.model[thread].at) && !this.#rests(thread)) this.step(thread);
  }

  #rests(thread: Thread): boolean {
    const { at } = this.model[thread];
    return at === "done" || at === "asleep";
  }

  /** The other thread runs a whole turn at this very access. */
  #interrupt(thread: Thread): void {
    this.nested = true;
    this.turn(thread === "producer" ? "consumer" : "producer");
    this.running = thread;
    this.nested = false;
  }

  /** A turn of a thread: nothing while it sleeps and its bell is silent. */
  turn(thread: Thread): void {
    if (this.model[thread].at === "done") return;
    if (this.#asleep[thread]) {
      if (!this.model[`${thread}Bell`]) return;
      this.#asleep[thread] = false;
      this.step(thread);
      this.running = thread;
      resume(thread === "producer" ? this.producerBlock : this.consumerBlock);
    }
    this.running = thread;
    this.#asleep[thread] = thread === "producer" ? this.#produce() : this.#consume();
    this.running = null;
  }

  /** One record, or waiting for room; true when it now sleeps. */
  #produce(): boolean {
    const number = this.model.producer.tail + 1;
    const at = this.producer.reserve(PAYLOAD_BYTES);
    if (at === -1) {
      this.producer.requestRoom();
      return park(this.producerBlock, () => this.producer.roomGranted());
    }
    this.producer.i32[at >> 2] = number;
    this.producer.publish();
    if (wakeIfIdle(this.consumerBlock)) this.step("producer");
    return false;
  }

  /** A drain, and sleep when there was nothing; true when it now sleeps. */
  #consume(): boolean {
    const worked = this.#drain();
    if (this.consumer.grantRoom() && wakeIfIdle(this.producerBlock)) this.step("consumer");
    return !worked && park(this.consumerBlock, () => !this.consumer.isEmpty());
  }

  #drain(): boolean {
    let handled = 0;
    while (handled < TURN) {
      const at = this.consumer.next();
      if (at === -1) break;
      this.received.push(this.consumer.i32[at >> 2] ?? 0);
      expect(this.consumer.length).toBe(PAYLOAD_BYTES);
      this.consumer.advance();
      handled++;
      if (handled % SETTINGS.batch === 0) this.consumer.release();
    }
    return handled > 0;
  }
}

/** Shared words against the model's, while no thread is inside a step. */
function expectSameWords(both: Lockstep): void {
  const { model } = both;
  const words = new Int32Array(both.memory, 0, 64);
  const bytes = (count: number): number => (FIRST_BYTE + count * RECORD_BYTES) | 0;
  expect(words[TAIL]).toBe(bytes(model.tail));
  expect((words[HEAD] ?? 0) & ~7).toBe(bytes(model.head));
  expect((words[HEAD] ?? 0) & 7).toBe(model.headEpoch);
  expect(words[ROOM_REQUEST]).toBe(model.roomRequest);
  expect(both.producerBlock.state).toBe(model.producerState);
  expect(both.consumerBlock.state).toBe(model.consumerState);
}

function watchAtomics(both: Lockstep): void {
  const real = Atomics;
  vi.stubGlobal("Atomics", {
    load: (array: Int32Array, index: number) => {
      both.before("load", array, index);
      return real.load(array, index);
    },
    store: (array: Int32Array, index: number, value: number) => {
      both.before("store", array, index);
      return real.store(array, index, value);
    },
    compareExchange: (array: Int32Array, index: number, old: number, next: number) => {
      both.before("cas", array, index);
      return real.compareExchange(array, index, old, next);
    },
    add: (array: Int32Array, index: number, value: number) => real.add(array, index, value),
  });
}

afterEach(() => {
  vi.unstubAllGlobals();
});

describe("the model and the code", () => {
  const seeds = [1, 2, 3, 4, 5, 6, 7, 8];
  const seen = new Set<string>();
  it.each(seeds)("make the same accesses in the same order (seed %i)", (seed) => {
    const both = new Lockstep(seed);
    watchAtomics(both);
    for (let turn = 0; turn < 20_000 && both.model.delivered < SETTINGS.messages; turn++) {
      // Now the sender is quicker and fills the ring, now the receiver, which falls asleep.
      const share = turn % 64 < 32 ? 0.95 : 0.3;
      both.turn(both.chance(share) ? "producer" : "consumer");
      if (turn % 16 === 0) expectSameWords(both);
    }
    expectSameWords(both);
    expect(both.received).toEqual(Array.from({ length: SETTINGS.messages }, (_, n) => n + 1));
    for (const step of both.compared) seen.add(step);
  });

  it("have been compared in every step that is an access", () => {
    const steps = [
      ...Object.keys(PRODUCER).map((at) => `producer ${at}`),
      ...Object.keys(CONSUMER).map((at) => `consumer ${at}`),
    ];
    expect([...seen].sort()).toEqual(steps.filter((step) => step.includes(":")).sort());
  });
});
