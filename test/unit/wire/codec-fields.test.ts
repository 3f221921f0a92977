/** Payloads with declared fields: what is written is read, and what does not fit is named. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  actorRef,
  anything,
  bool,
  borrowed,
  bytes,
  type Field,
  type FieldMap,
  f32,
  f64,
  i32,
  optional,
  text,
  u32,
} from "../../../src/protocols/fields.ts";
import { protocol } from "../../../src/protocols/protocol.ts";
import { recordView } from "../../../src/runtime/wire/record-view.ts";
import {
  bothCodecs,
  readRecord,
  refusal,
  TestRef,
  twoThreads,
  writeRecord,
} from "./codec-support.ts";

const Peer = protocol("peer", {});
const EVERY = {
  seq: u32,
  loss: f64,
  rate: f32,
  delta: i32,
  ok: bool,
  name: text,
  blob: bytes,
  view: borrowed,
  reply: actorRef(Peer),
  rest: anything<unknown>(),
  label: optional(text),
  note: optional(f64),
};
const PAYLOAD = {
  seq: 4_294_967_295,
  loss: Math.PI,
  rate: 0.25,
  delta: -7,
  ok: true,
  name: "loss of α",
  blob: new Uint8Array([1, 2, 3]),
  view: new Uint8Array(200).fill(9),
  reply: new TestRef(5, 2),
  rest: { rows: [1, { deep: "x" }], at: new Date(5) },
  label: "",
  note: undefined,
};

const words = fc.string({ unit: "binary", maxLength: 80 });
const KINDS: readonly (readonly [Field<unknown>, fc.Arbitrary<unknown>])[] = [
  [u32, fc.integer({ min: 0, max: 0xffff_ffff })],
  [i32, fc.integer()],
  [f64, fc.double()],
  [f32, fc.float()],
  [bool, fc.boolean()],
  [text, words],
  [bytes, fc.uint8Array({ maxLength: 300 })],
  [borrowed, fc.uint8Array({ maxLength: 300 })],
  [actorRef(Peer), fc.nat().map((address) => new TestRef(address))],
  [anything<unknown>(), fc.jsonValue()],
];

/** A declaration with a payload that fits it. */
const declared = fc
  .array(fc.tuple(fc.constantFrom(...KINDS), fc.boolean(), fc.boolean()), { maxLength: 40 })
  .chain((parts) => {
    const map: FieldMap = Object.fromEntries(
      parts.map(([[field], isOptional], index) => [
        `field${index}`,
        isOptional ? optional(field) : field,
      ]),
    );
    const values = parts.map(([[, value], isOptional, isThere]) =>
      isOptional && !isThere ? fc.constant(undefined) : value,
    );
    return fc
      .tuple(...values)
      .map((list) => ({ map, payload: Object.fromEntries(list.map((v, i) => [`field${i}`, v])) }));
  });

describe("a payload with declared fields", () => {
  it("arrives as it was sent, whatever is declared, from either codec to either", () => {
    const { from, to } = twoThreads();
    fc.assert(
      fc.property(declared, ({ map, payload }) => {
        const codecs = bothCodecs(map);
        for (const writer of codecs) {
          const record = writeRecord(writer, payload, from);
          expect(record.length % 8).toBe(0);
          for (const reader of codecs) {
            expect(readRecord(reader, record, to)).toEqual(payload);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it("is laid out alike by both codecs", () => {
    const { from } = twoThreads();
    const [generated, stepped] = bothCodecs(EVERY);
    for (let warm = 0; warm < 5; warm += 1) from.encode({ rest: PAYLOAD.rest });
    expect(writeRecord(generated, PAYLOAD, from)).toEqual(writeRecord(stepped, PAYLOAD, from));
  });

  it("may be an instance, whose fields are accessors, and may hold undefined as anything", () => {
    class Sample {
      get seq(): number {
        return 5;
      }
    }
    const { from, to } = twoThreads();
    for (const codec of bothCodecs({ seq: u32 })) {
      expect(readRecord(codec, writeRecord(codec, new Sample(), from), to)).toEqual({ seq: 5 });
    }
    for (const codec of bothCodecs({ rest: anything() })) {
      expect(readRecord(codec, writeRecord(codec, {}, from), to)).toEqual({ rest: undefined });
      refusal("NOT_TRANSFERABLE", () => codec.sizeOf({ other: 1 }, from));
    }
    for (const codec of bothCodecs({})) {
      expect(readRecord(codec, writeRecord(codec, {}, from), to)).toEqual({});
      refusal("NOT_TRANSFERABLE", () => codec.sizeOf({ other: 1 }, from));
    }
  });

  it("keeps NaN, infinities, -0 and lone surrogates", () => {
    const { from, to } = twoThreads();
    for (const codec of bothCodecs({ a: f64, b: f64, c: f64, d: f32, e: text })) {
      const sent = { a: Number.NaN, b: -0, c: Number.NEGATIVE_INFINITY, d: -0, e: "\ud800 \uffff" };
      const record = writeRecord(codec, sent, from);
      const read = readRecord(codec, record, to) as typeof sent;
      expect(Object.values(read).every((v, i) => Object.is(v, Object.values(sent)[i]))).toBe(true);
    }
  });

  it("has a size known beforehand when nothing in it varies", () => {
    const { from } = twoThreads();
    for (const codec of bothCodecs({ seq: u32, loss: f64, ok: bool, reply: actorRef(Peer) })) {
      expect(codec.fixedBytes).toBe(32);
      const sent = { seq: 1, loss: 2, ok: true, reply: new TestRef(1) };
      expect(codec.sizeOf(sent, from)).toBe(32);
    }
    for (const codec of bothCodecs({ seq: u32, name: text })) expect(codec.fixedBytes).toBeNull();
  });

  it("gives the receiver bytes of its own, and a view only where one is declared", () => {
    const { from, to } = twoThreads();
    for (const codec of bothCodecs({ own: bytes, seen: borrowed })) {
      const view = recordView(new SharedArrayBuffer(1_024), 512);
      const sent = { own: new Uint8Array([1, 2]), seen: Buffer.from([3, 4]) };
      const size = codec.sizeOf(sent, from);
      codec.write(sent, view, 8, from);
      const read = codec.read(view, 8, size, to) as { own: Uint8Array; seen: Uint8Array };
      view.u8.fill(0xff);
      expect([...read.own]).toEqual([1, 2]);
      expect(read.own.buffer).toBeInstanceOf(ArrayBuffer);
      expect([...read.seen]).toEqual([255, 255]);
      expect(read.seen.buffer).toBe(view.u8.buffer);
    }
  });
});

const REFUSED: readonly (readonly [string, FieldMap, unknown, string])[] = [
  ["a negative number", { n: u32 }, { n: -1 }, "payload.n is -1; allowed: an integer from 0"],
  ["a number past the range", { n: u32 }, { n: 2 ** 32 }, "payload.n is 4294967296; allowed"],
  ["a fraction", { n: i32 }, { n: 0.5 }, "payload.n is 0.5; allowed: an integer from -2147483648"],
  ["NaN for an integer", { n: u32 }, { n: Number.NaN }, "payload.n is NaN"],
  ["a text for a number", { n: f64 }, { n: "1" }, 'payload.n is "1"; allowed: a number'],
  ["a bigint for a number", { n: f64 }, { n: 1n }, "payload.n is 1"],
  ["a number for a text", { name: text }, { name: 1 }, "payload.name is 1; allowed: a string"],
  ["1 for true", { ok: bool }, { ok: 1 }, "payload.ok is 1; allowed: true or false"],
  ["an array for bytes", { b: bytes }, { b: [1] }, "payload.b is [object Array]"],
  ["other views for bytes", { b: borrowed }, { b: new Int32Array(1) }, "allowed: a Uint8Array"],
  ["null for an optional field", { n: optional(u32) }, { n: null }, "payload.n is null"],
  ["a field that is missing", { n: u32, m: u32 }, { n: 1 }, "payload.m is undefined"],
  ["a field nobody declared", { n: u32 }, { n: 1, m: 2 }, "payload.m is 2; allowed: the declared"],
  ["such a field beside optional ones", { n: optional(u32) }, { m: 2 }, "payload.m is 2"],
  ["no object", { n: u32 }, null, "payload is null; allowed: an object with the fields n"],
  ["a function in anything", { r: anything() }, { r: [{ f: () => 1 }] }, "payload.r[0].f is a fun"],
  ["no reference", { to: actorRef(Peer) }, { to: {} }, "allowed: a reference to an actor"],
  ["a local reference", { to: actorRef(Peer) }, { to: new TestRef(-1) }, "stays in its thread"],
  [
    "a reference to another protocol",
    { to: actorRef(Peer) },
    { to: new TestRef(1, 1, 8) },
    "payload.to is [object Object]; allowed: a reference to an actor that speaks peer",
  ],
];

describe("a payload that does not fit its declaration", () => {
  it.each(REFUSED)("is refused with path and value: %s", (_name, map, payload, message) => {
    const { from } = twoThreads();
    for (const codec of bothCodecs(map)) {
      const error = refusal("NOT_TRANSFERABLE", () => codec.sizeOf(payload, from));
      expect(error.message).toContain(message);
    }
  });

  it("leaves nothing behind and does not disturb the next one", () => {
    const { from, to } = twoThreads();
    for (const codec of bothCodecs({ name: text, n: u32 })) {
      const view = recordView(new SharedArrayBuffer(256));
      refusal("NOT_TRANSFERABLE", () => codec.sizeOf({ name: "x".repeat(99), n: -1 }, from));
      expect(view.u8.every((byte) => byte === 0)).toBe(true);
      const sent = { name: "short", n: 1 };
      const size = codec.sizeOf(sent, from);
      codec.write(sent, view, 0, from);
      expect(codec.read(view, 0, size, to)).toEqual(sent);
    }
  });

  it("cannot be written without being sized, nor after something else was encoded", () => {
    const { from } = twoThreads();
    const view = recordView(new SharedArrayBuffer(256));
    for (const codec of bothCodecs({ rest: anything() })) {
      const payload = { rest: 1 };
      expect(() => codec.write(payload, view, 0, from)).toThrow("directly after it was sized");
      codec.sizeOf(payload, from);
      from.encode({ other: 1 });
      expect(() => codec.write(payload, view, 0, from)).toThrow("directly after it was sized");
    }
  });
});

describe("a record whose bytes contradict themselves", () => {
  it("is refused at every length but its own", () => {
    const { from, to } = twoThreads();
    for (const codec of bothCodecs(EVERY)) {
      const record = writeRecord(codec, PAYLOAD, from);
      expect(readRecord(codec, record, to)).toEqual(PAYLOAD);
      for (let length = 0; length < record.length; length += 1) {
        refusal("FRAME_MALFORMED", () => readRecord(codec, record.subarray(0, length), to));
      }
      const longer = new Uint8Array([...record, ...new Uint8Array(8)]);
      refusal("FRAME_MALFORMED", () => readRecord(codec, longer, to));
    }
  });

  it("never makes the reader fail otherwise, nor read past the record", () => {
    const { from, to } = twoThreads();
    const codecs = bothCodecs(EVERY);
    const record = writeRecord(codecs[0], PAYLOAD, from);
    const flips = fc.array(fc.tuple(fc.nat(record.length - 1), fc.nat(255)), { maxLength: 6 });
    fc.assert(
      fc.property(flips, (list) => {
        const damaged = record.slice();
        for (const [at, value] of list) damaged[at] = value;
        const [one, other] = codecs.map((codec) => outcome(() => readRecord(codec, damaged, to)));
        expect(one).toEqual(other);
      }),
      { numRuns: 500 },
    );
  });
});

/** The value, or the code of the only error that is allowed. */
function outcome(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    return refusal("FRAME_MALFORMED", () => {
      throw error;
    }).code;
  }
}
