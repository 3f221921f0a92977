/** A ring whose records are freed one by one, together with an account that others share. */
import { describe, expect, it } from "vitest";
import {
  RingConsumer,
  RingProducer,
  ringHead,
  ringIsDrained,
  ringMemory,
} from "../../../src/runtime/wire/ring.ts";

function filled(records: number) {
  const memory = ringMemory(4_096);
  const producer = new RingProducer(memory);
  for (let value = 0; value < records; value++) {
    producer.i32[producer.reserve(4) >> 2] = value;
    producer.publish();
  }
  return { memory, producer };
}

const read = (ring: RingConsumer): number => ring.i32[ring.next() >> 2] as number;

describe("a record that is settled", () => {
  it("is freed with its places and its attempts, all at once", () => {
    const { memory, producer } = filled(2);
    const account = new Int32Array(new SharedArrayBuffer(12)).fill(10);
    const ring = new RingConsumer(memory);
    expect(read(ring)).toBe(0);
    ring.countAttempt();
    expect(ring.attempts).toBe(1);
    ring.settle(account, 0, 2, 2);
    expect([...account]).toEqual([12, 10, 12]);
    expect(ring.attempts).toBe(0);
    expect(read(ring)).toBe(1);
    ring.settle(account, 1, -1, 2);
    expect([...account]).toEqual([12, 12, 12]);
    expect(ringHead(memory)).toBe(producer.position);
    expect(ringIsDrained(memory)).toBe(true);
  });

  it("before that is there for the next consumer, with the attempts made", () => {
    const { memory, producer } = filled(1);
    const account = new Int32Array(1).fill(1);
    const dead = new RingConsumer(memory);
    expect(read(dead)).toBe(0);
    dead.countAttempt();
    expect(ringHead(memory)).toBeLessThan(producer.position);
    const next = new RingConsumer(memory);
    expect(next.attempts).toBe(1);
    expect(read(next)).toBe(0);
    // The one before lives after all: it frees nothing and gives nothing back.
    dead.settle(account, 0, -1, 2);
    expect(dead.fenced).toBe(true);
    expect([...account]).toEqual([1]);
    expect(next.attempts).toBe(1);
    next.settle(account, 0, -1, 2);
    expect([...account]).toEqual([3]);
  });
});

describe("a sealed ring", () => {
  it("ends where it was sealed, whatever its producer still does", () => {
    const { memory, producer } = filled(2);
    const ring = new RingConsumer(memory);
    ring.seal();
    producer.i32[producer.reserve(4) >> 2] = 2;
    producer.publish();
    const account = new Int32Array(0);
    expect(read(ring)).toBe(0);
    ring.settle(account, -1, -1, 2);
    expect(ring.hasUnread).toBe(true);
    expect(read(ring)).toBe(1);
    ring.settle(account, -1, -1, 2);
    expect(ring.hasUnread).toBe(false);
    expect(ring.next()).toBe(-1);
  });
});
