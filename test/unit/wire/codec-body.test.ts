/** Bodies without declared fields: what arrives equals what structured clone would deliver. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { EsperError } from "../../../src/protocols/errors.ts";
import { BODY_BYTES_MAX } from "../../../src/runtime/wire/body-codec.ts";
import { ODD } from "../../../src/runtime/wire/check-payload.ts";
import { refusal, sendBody, TestRef, twoThreads } from "./codec-support.ts";

const ROWS = {
  id: 1,
  rows: Array.from({ length: 20 }, (_, index) => ({ name: `m${index}`, value: 0.5, unit: "ms" })),
};

const anyPayload = fc.anything({
  withBigInt: true,
  withDate: true,
  withMap: true,
  withSet: true,
  withTypedArray: true,
  withNullPrototype: true,
  maxDepth: 4,
});

describe("a body", () => {
  it("arrives as structured clone would deliver it, again and again", () => {
    const threads = twoThreads();
    fc.assert(
      fc.property(anyPayload, (value) => {
        const expected: unknown = structuredClone(value);
        // Repeated, so that the shapes in it become shared ones on the way.
        for (let time = 0; time < 4; time += 1) {
          expect(isDeepStrictEqual(sendBody(threads, value), expected)).toBe(true);
        }
      }),
      { numRuns: 400 },
    );
  });

  const kept: readonly (readonly [string, unknown])[] = [
    ["undefined", undefined],
    ["undefined in an object", { a: undefined, b: null }],
    ["-0, NaN and infinities", [-0, 0, Number.NaN, Number.POSITIVE_INFINITY]],
    ["integers that need a double", [2 ** 53, -(2 ** 53), 2 ** 40, -(2 ** 31) - 1]],
    ["big integers", [0n, -1n, 2n ** 63n, -(2n ** 63n), 2n ** 64n, -(2n ** 200n), 2n ** 2_000n]],
    ["dates", [new Date(0), new Date(-1), new Date(1.5e12 + 7), new Date(-8.64e15)]],
    ["a Map with any keys", new Map<unknown, unknown>([[{ a: -0 }, new Map([[1, [2]]])]])],
    ["a Set of objects", new Set([{ a: 1 }, -0, "x"])],
    [
      "views",
      [new Float64Array([0.1]), new Uint8ClampedArray([1]), new DataView(new ArrayBuffer(3))],
    ],
    ["an ArrayBuffer", new Uint8Array([1, 2, 3]).buffer],
    ["a key that would change the prototype", JSON.parse('{"__proto__":{"polluted":true},"a":1}')],
    ["keys that the encoder uses itself", { __keys__: [1], constructor: "x", toJSON: 1, "": 2 }],
    ["an object with a key like a method", { hasOwnProperty: 1, toString: 2 }],
    [
      "more keys than a shape has",
      Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`k${i}`, i])),
    ],
    [
      "more keys than sixteen bits",
      Object.fromEntries(Array.from({ length: 70_000 }, (_, i) => [i, 1])),
    ],
    ["texts of every length", ["", "é", "x".repeat(31), "€".repeat(200), "y".repeat(70_000)]],
  ];

  it.each(kept)("keeps %s", (_name, value) => {
    const threads = twoThreads();
    for (let time = 0; time < 4; time += 1) {
      expect(isDeepStrictEqual(sendBody(threads, value), structuredClone(value))).toBe(true);
    }
  });

  it("leaves every prototype alone", () => {
    const odd: unknown = JSON.parse('{"__proto__":{"polluted":true}}');
    const got = sendBody(twoThreads(), odd) as object;
    expect(Object.getPrototypeOf(got)).toBe(Object.prototype);
    expect(Object.keys(got)).toEqual(["__proto__"]);
    expect("polluted" in {}).toBe(false);
  });

  it("turns a Buffer into bytes that share nothing", () => {
    const threads = twoThreads();
    const { start, end } = threads.from.encode({ b: Buffer.from([1, 2, 3]) });
    const shared = new Uint8Array(new SharedArrayBuffer(end - start));
    threads.from.copyInto(shared, 0);
    const got = threads.to.decode(shared, 0, shared.length) as { b: Uint8Array };
    shared.fill(0);
    threads.to.decode(new Uint8Array([1]), 0, 1);
    expect(got.b.constructor).toBe(Uint8Array);
    expect([...got.b]).toEqual([1, 2, 3]);
  });

  it("brings coded errors back as such and built-in ones as their class", () => {
    const threads = twoThreads();
    const coded = new EsperError("MAILBOX_FULL", "no room", { depth: -0, at: new Date(1) });
    const back = sendBody(threads, { error: coded, other: new RangeError("far") }) as {
      error: EsperError;
      other: RangeError;
    };
    expect(EsperError.is(back.error, "MAILBOX_FULL")).toBe(true);
    expect(back.error.details).toEqual({ depth: -0, at: new Date(1) });
    expect([back.error.message, back.error.stack]).toEqual([coded.message, coded.stack]);
    expect(back.other).toBeInstanceOf(RangeError);
    expect(back.other.message).toBe("far");
  });

  it("carries references in any place", () => {
    const threads = twoThreads();
    const sent = {
      to: new TestRef(3),
      list: [new TestRef(4, 2)],
      map: new Map([["a", new TestRef(5)]]),
    };
    expect(sendBody(threads, sent)).toEqual(sent);
    expect(threads.from.check(sent)).toBe(ODD);
    refusal("NOT_TRANSFERABLE", () => sendBody(threads, { to: new TestRef(-1) }));
  });

  it("does not change what is sent", () => {
    const sent = Object.freeze({ zero: -0, map: new Map([[1, Object.freeze([-0])]]) });
    const before = structuredClone(sent);
    sendBody(twoThreads(), sent);
    expect(isDeepStrictEqual(sent, before)).toBe(true);
  });

  it("keeps a date that is none", () => {
    const got = sendBody(twoThreads(), { at: new Date(Number.NaN) }) as { at: Date };
    expect(got.at.getTime()).toBeNaN();
  });

  it("gets smaller once its shape is shared", () => {
    const { from } = twoThreads();
    const sizes = Array.from({ length: 6 }, () => {
      const { start, end } = from.encode({ name: "loss", value: 0.5, unit: "ms" });
      return end - start;
    });
    expect(sizes.at(-1)).toBeLessThan((sizes[0] ?? 0) - "name value unit".length);
  });

  it("is refused by name when a getter throws", () => {
    const { from } = twoThreads();
    const error = refusal("NOT_TRANSFERABLE", () =>
      from.encode({
        get seq() {
          throw new Error("gone");
        },
      }),
    );
    expect(error.cause).toBeInstanceOf(Error);
  });

  it("may be as large as the limit and no larger", () => {
    const { from, to } = twoThreads();
    refusal("FRAME_TOO_LARGE", () => from.encode(new Uint8Array(BODY_BYTES_MAX)));
    const large = new Uint8Array(3 * 1_024 * 1_024).fill(7);
    const { buffer, start, end } = from.encode(large);
    const got = to.decode(buffer, start, end - start) as Uint8Array;
    expect(Buffer.compare(got, large)).toBe(0);
    expect(from.encode({ a: 1 }).buffer.length).toBeLessThan(1_024 * 1_024);
    refusal("FRAME_TOO_LARGE", () => to.decode(buffer, 0, BODY_BYTES_MAX + 1));
  });
});

const CORPUS = z
  .array(z.strictObject({ name: z.string(), hex: z.string(), repeat: z.int().optional() }))
  .parse(
    JSON.parse(
      readFileSync(
        fileURLToPath(new URL("../../corpus/frames/bodies.json", import.meta.url)),
        "utf8",
      ),
    ),
  );

describe("bytes that no encoder of ours wrote", () => {
  it.each(CORPUS)("are refused: $name", ({ hex, repeat }) => {
    const { to } = twoThreads();
    const bytes = Buffer.from(hex.repeat(repeat ?? 1), "hex");
    refusal("FRAME_MALFORMED", () => to.decode(bytes, 0, bytes.length));
    expect(sendBody(twoThreads(), ROWS)).toEqual(ROWS);
  });

  const samples = [ROWS, new Map([[1, new Set([new Date(5)])]]), [2n ** 90n, -0, new TestRef(1)]];

  it.each(samples)("are refused when a body is cut off at any byte (%#)", (sample) => {
    const threads = twoThreads();
    for (let warm = 0; warm < 4; warm += 1) sendBody(threads, sample);
    const { buffer, start, end } = threads.from.encode(sample);
    const bytes = buffer.slice(start, end);
    for (let length = 0; length < bytes.length; length += 1) {
      refusal("FRAME_MALFORMED", () => threads.to.decode(bytes, 0, length));
    }
    refusal("FRAME_MALFORMED", () => threads.to.decode(bytes, 1, bytes.length));
    refusal("FRAME_MALFORMED", () => threads.to.decode(bytes, -1, 1));
    expect(sendBody(threads, sample)).toEqual(sample);
  });

  it("decode to a value or are refused, never anything else, and harm no later body", () => {
    const threads = twoThreads();
    for (const one of [...samples, ...samples, ...samples]) sendBody(threads, one);
    const bodies = samples.map((one) => {
      const { buffer, start, end } = threads.from.encode(one);
      return buffer.slice(start, end);
    });
    const flips = fc.array(fc.tuple(fc.nat(10_000), fc.nat(255)), { minLength: 1, maxLength: 8 });
    const garbage = fc.uint8Array({ maxLength: 200 });
    const damaged = fc.oneof(
      garbage,
      fc.tuple(fc.constantFrom(...bodies), flips).map(([body, list]) => {
        const bytes = Uint8Array.from(body);
        for (const [at, value] of list) bytes[at % bytes.length] = value;
        return bytes;
      }),
    );
    fc.assert(
      fc.property(damaged, (bytes) => {
        try {
          threads.to.decode(bytes, 0, bytes.length);
        } catch (error) {
          if (!EsperError.is(error, "FRAME_MALFORMED")) throw error;
        }
      }),
      { numRuns: 3_000 },
    );
    expect(sendBody(threads, ROWS)).toEqual(ROWS);
  });

  it("cost no more time or memory than their own size allows", () => {
    const { to } = twoThreads();
    const bombs = [
      new Uint8Array(4_000_000).fill(0x91),
      Uint8Array.from({ length: 4_000_000 }, (_, at) => (at % 5 === 0 ? 0xdd : 0x00)),
      new Uint8Array([0xdd, 0xff, 0xff, 0xff, 0xff, 0xc0]),
      new Uint8Array([0xc9, 0xff, 0xff, 0xff, 0xff, 0x74, 0x01]),
    ];
    const before = process.memoryUsage().heapUsed;
    for (const bomb of bombs) refusal("FRAME_MALFORMED", () => to.decode(bomb, 0, bomb.length));
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(32 * 1_024 * 1_024);
  });
});
