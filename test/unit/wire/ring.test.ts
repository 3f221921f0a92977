import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import {
  HEAD,
  RingConsumer,
  RingProducer,
  ROOM_REQUEST,
  ringMemory,
  TAIL,
} from "../../../src/runtime/wire/ring.ts";

const KIB = 1_024;
const HEADER_BYTES = 256;

function ring(capacityBytes = KIB, firstByte = 0) {
  const memory = ringMemory(capacityBytes);
  const words = new Int32Array(memory, 0, HEADER_BYTES >> 2);
  words[TAIL] = firstByte | 0;
  words[HEAD] = firstByte | 0;
  return { memory, words, producer: new RingProducer(memory), consumer: new RingConsumer(memory) };
}

function send(producer: RingProducer, bytes: Uint8Array): boolean {
  const at = producer.reserve(bytes.length);
  if (at === -1) return false;
  producer.u8.set(bytes, at);
  producer.publish();
  return true;
}

function receive(consumer: RingConsumer): Uint8Array | null {
  const at = consumer.next();
  if (at === -1) return null;
  const bytes = consumer.u8.slice(at, at + consumer.length);
  consumer.advance();
  return bytes;
}

/** Fills the ring with records of `bytes`; how many it took. */
function fill(producer: RingProducer, bytes: number): number {
  let sent = 0;
  while (send(producer, new Uint8Array(bytes).fill(sent))) sent++;
  return sent;
}

function codeOf(run: () => unknown): string | null {
  try {
    run();
    return null;
  } catch (error) {
    return EsperError.is(error) ? error.code : String(error);
  }
}

describe("a ring", () => {
  it.each([0, 512, 1_000, 3 * KIB, 128 * KIB * KIB, Number.NaN, 1_024.5])(
    "is refused a capacity of %d bytes",
    (capacity) => {
      expect(() => ringMemory(capacity)).toThrowError(
        expect.objectContaining({
          code: "CONFIG_INVALID",
          details: { path: "ring.capacityBytes", value: capacity },
        }),
      );
    },
  );

  it("is refused memory that ringMemory did not make", () => {
    expect(() => new RingProducer(new SharedArrayBuffer(1_000))).toThrow(/ringMemory/);
    expect(() => new RingConsumer(new SharedArrayBuffer(KIB))).toThrow(/ringMemory/);
  });

  it("shows nothing before publish, and a record's exact length after it", () => {
    const { producer, consumer } = ring();
    const at = producer.reserve(13);
    expect(at % 8).toBe(0);
    expect([consumer.isEmpty(), consumer.next()]).toEqual([true, -1]);
    producer.publish();
    expect([consumer.isEmpty(), consumer.next(), consumer.length]).toEqual([false, at, 13]);
    expect(consumer.next()).toBe(at);
    consumer.advance();
    expect([consumer.isEmpty(), consumer.next(), consumer.records]).toEqual([true, -1, 1]);
  });

  it("gives a reservation up for the next one, and publishes nothing without one", () => {
    const { producer, consumer } = ring();
    producer.reserve(40);
    expect(send(producer, Uint8Array.of(7))).toBe(true);
    producer.publish();
    expect(receive(consumer)).toEqual(Uint8Array.of(7));
    expect(receive(consumer)).toBeNull();
  });

  it("publishes nothing after a reservation that found no room", () => {
    const { producer, consumer } = ring();
    const sent = fill(producer, 100);
    producer.publish();
    for (let n = 0; n < sent; n++) expect(receive(consumer)?.[0]).toBe(n);
    expect(receive(consumer)).toBeNull();
  });

  it("refuses a record above an eighth of its capacity, or of no size", () => {
    const { producer } = ring();
    expect(producer.largestRecordBytes).toBe(128);
    expect(producer.reserve(128)).toBeGreaterThan(0);
    for (const bytes of [129, -1, 2 ** 31]) {
      expect(codeOf(() => producer.reserve(bytes))).toBe("FRAME_TOO_LARGE");
    }
  });

  it("frees space on release, not on advance", () => {
    const { producer, consumer } = ring();
    fill(producer, 120);
    receive(consumer);
    expect(send(producer, new Uint8Array(120))).toBe(false);
    expect(producer.usedBytes).toBe(KIB);
    consumer.release();
    expect(producer.usedBytes).toBe(KIB - 128);
    expect(send(producer, new Uint8Array(120))).toBe(true);
  });

  it("grants room once half of it is free, and not before", () => {
    const { words, producer, consumer } = ring();
    fill(producer, 120);
    producer.requestRoom();
    expect(producer.roomGranted()).toBe(false);
    for (let n = 0; n < 3; n++) receive(consumer);
    expect([consumer.grantRoom(), words[ROOM_REQUEST]]).toEqual([false, 1]);
    receive(consumer);
    expect([consumer.grantRoom(), words[ROOM_REQUEST]]).toEqual([true, 0]);
    expect([consumer.grantRoom(), producer.roomGranted()]).toEqual([false, true]);
  });

  it("lets a producer whose request was taken go on, even when it is full again", () => {
    const { producer, consumer } = ring();
    fill(producer, 120);
    producer.requestRoom();
    while (receive(consumer) !== null) consumer.release();
    expect(consumer.grantRoom()).toBe(true);
    fill(producer, 120);
    expect(producer.roomGranted()).toBe(true);
  });

  it("takes any record when half of it is free, wherever the wrap is", () => {
    for (let skip = 0; skip < 128; skip += 8) {
      const { producer, consumer } = ring();
      for (let n = 0; n < 8; n++) {
        send(producer, new Uint8Array(skip));
        receive(consumer);
        consumer.release();
      }
      while (producer.usedBytes <= KIB / 2) {
        expect(send(producer, new Uint8Array(128)), `after ${skip}`).toBe(true);
      }
    }
  });
});

/** `toEqual` would be slow for so many bytes. */
function expectSame(got: Uint8Array | null, sent: Uint8Array | undefined): void {
  if (got === null || sent === undefined) throw new Error("a record is missing");
  if (Buffer.compare(got, sent) !== 0) throw new Error("a record was changed");
}

describe("random records", () => {
  it("come out as they went in, across wraps and the overflow of the counters", () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 128 }), { minLength: 50, maxLength: 400 });
    const starts = fc.constantFrom(0, 2 ** 31 - 4_096, 2 ** 31 - 8, 2 ** 32 - 2_048);
    fc.assert(
      fc.property(sizes, starts, fc.integer({ min: 1, max: 9 }), (lengths, start, drained) => {
        const { producer, consumer } = ring(KIB, start);
        const waiting: Uint8Array[] = [];
        const drain = (most: number): void => {
          for (let n = 0; n < most && waiting.length > 0; n++) {
            expectSame(receive(consumer), waiting.shift());
          }
          consumer.release();
        };
        lengths.forEach((length, index) => {
          const body = Uint8Array.from({ length }, (_, at) => (index * 31 + at * 7) & 255);
          while (!send(producer, body)) drain(drained);
          waiting.push(body);
        });
        drain(Number.POSITIVE_INFINITY);
        expect([receive(consumer), consumer.usedBytes, producer.usedBytes]).toEqual([null, 0, 0]);
        expect(consumer.records).toBe(lengths.length);
      }),
      { numRuns: 60 },
    );
  });
});

describe("a consumer that takes a ring over", () => {
  it("starts at the first record not freed", () => {
    const { memory, producer, consumer } = ring();
    for (const n of [1, 2, 3, 4]) send(producer, Uint8Array.of(n));
    receive(consumer);
    consumer.release();
    receive(consumer);
    const next = new RingConsumer(memory);
    expect([receive(next), receive(next), receive(next)]).toEqual(
      [2, 3, 4].map((n) => Uint8Array.of(n)),
    );
  });

  it("fences the one before: it frees nothing, reads nothing and grants nothing", () => {
    const { memory, producer, consumer } = ring();
    const sent = fill(producer, 120);
    receive(consumer);
    const next = new RingConsumer(memory);
    for (let n = 0; n < sent; n++) receive(next);
    next.release();
    fill(producer, 120);
    producer.requestRoom();
    expect([consumer.grantRoom(), consumer.fenced]).toEqual([false, true]);
    expect([consumer.next(), consumer.isEmpty(), consumer.usedBytes]).toEqual([-1, true, 0]);
    expect(producer.usedBytes).toBe(KIB);
    expect(producer.roomGranted()).toBe(false);
    expect(receive(next)?.[0]).toBe(0);
  });

  it("fences also when both stand at the same place, eight replacements long", () => {
    const { memory, producer, consumer } = ring();
    for (const n of [1, 2]) send(producer, Uint8Array.of(n));
    const later = Array.from({ length: 7 }, () => new RingConsumer(memory));
    receive(consumer);
    consumer.release();
    expect(consumer.fenced).toBe(true);
    const last = later.at(-1);
    expect(last === undefined ? null : receive(last)).toEqual(Uint8Array.of(1));
  });
});

describe("a producer over the memory of a dead one", () => {
  it("overwrites what was reserved and not published", () => {
    const { memory, producer, consumer } = ring();
    send(producer, Uint8Array.of(1));
    const at = producer.reserve(100);
    producer.u8.fill(255, at, at + 60);
    const next = new RingProducer(memory);
    send(next, Uint8Array.of(2));
    expect([receive(consumer), receive(consumer), receive(consumer)]).toEqual([
      Uint8Array.of(1),
      Uint8Array.of(2),
      null,
    ]);
  });
});

describe("memory that lies", () => {
  const lies: readonly [string, number, number][] = [
    ["a negative size", -8, 0],
    ["no size", 0, 0],
    ["a size off the grid", 20, 12],
    ["more than was published", 256, 248],
    ["a length beyond the record", 24, 17],
    ["a length far below the record", 24, 8],
    ["a negative length", 24, -2],
  ];
  it.each(lies)("is refused once, then the ring reads as empty: %s", (_name, size, length) => {
    const { memory, producer, consumer } = ring();
    const at = producer.reserve(16);
    producer.publish();
    const data = new Int32Array(memory, HEADER_BYTES);
    data[(at >> 2) - 2] = size;
    data[(at >> 2) - 1] = length;
    expect(codeOf(() => consumer.next())).toBe("FRAME_MALFORMED");
    expect([consumer.broken, consumer.next(), consumer.isEmpty()]).toEqual([true, -1, true]);
    consumer.release();
    expect(producer.usedBytes).toBe(24);
  });

  it("is refused when the tail is behind the head, too far ahead or off the grid", () => {
    for (const tail of [-8, 2 * KIB, 12]) {
      const { words, consumer } = ring();
      words[TAIL] = tail;
      expect(codeOf(() => consumer.next())).toBe("FRAME_MALFORMED");
    }
  });

  it("never leads a read out of the ring, whatever the bytes", () => {
    const words = fc.array(fc.integer(), { minLength: 256, maxLength: 256 });
    fc.assert(
      fc.property(words, fc.integer({ min: 0, max: 128 }), (noise, eighths) => {
        const { memory, words: control, consumer } = ring();
        new Int32Array(memory, HEADER_BYTES).set(noise);
        control[TAIL] = eighths * 8;
        let failed: string | null = null;
        for (let reads = 0; failed === null && reads < 200; reads++) {
          failed = codeOf(() => {
            const at = consumer.next();
            if (at === -1) return;
            expect(at + consumer.length).toBeLessThanOrEqual(KIB);
            consumer.advance();
          });
        }
        expect([null, "FRAME_MALFORMED"]).toContain(failed);
      }),
      { numRuns: 200 },
    );
  });
});
