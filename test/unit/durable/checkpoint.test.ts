import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  decodeCheckpoint,
  encodeCheckpoint,
  inspectCheckpoint,
} from "../../../src/runtime/durable/checkpoint.ts";
import { isFlaw } from "../../../src/runtime/durable/checkpoint-format.ts";
import { firstSample, forged, hexDigest, sample } from "../../fixtures/checkpoints.ts";

const damage = (bytes: Uint8Array) => {
  try {
    decodeCheckpoint(bytes, "a.ckpt");
    return null;
  } catch (error) {
    return error;
  }
};

const golden = (version: number): Uint8Array => {
  const path = new URL(`../../golden/checkpoint-v${version}.json`, import.meta.url);
  const { base64 } = JSON.parse(readFileSync(path, "utf8")) as { base64: string };
  return Buffer.from(base64, "base64");
};

const flip = (bytes: Uint8Array, bit: number): Uint8Array => {
  const flipped = bytes.slice();
  flipped[bit >> 3] = flipped[bit >> 3]! ^ (1 << (bit & 7));
  return flipped;
};

describe("the container", () => {
  it("gives back what was put in, bit for bit, from any alignment", () => {
    const bytes = encodeCheckpoint(sample());
    const shifted = new Uint8Array(bytes.byteLength + 3);
    shifted.set(bytes, 3);
    for (const source of [bytes, shifted.subarray(3)]) {
      expect(decodeCheckpoint(source, "a.ckpt")).toEqual(sample());
    }
  });

  it("keeps the bits of every NaN", () => {
    const odd = new Float32Array(Uint32Array.of(0x7fc00001, 0xffc12345, 0x7f812345).buffer);
    const { arrays } = decodeCheckpoint(encodeCheckpoint({ meta: {}, arrays: { odd } }), "a");
    expect(new Uint32Array(arrays["odd"]!.buffer)).toEqual(new Uint32Array(odd.buffer));
  });

  it("does not depend on the order of the arrays", () => {
    const { meta, arrays } = sample();
    const reversed = Object.fromEntries(Object.entries(arrays).reverse());
    expect(encodeCheckpoint({ meta, arrays: reversed })).toEqual(encodeCheckpoint(sample()));
  });

  it.each([1, 2])("of version %i refuses every truncation and every flipped bit", (version) => {
    const bytes = version === 1 ? golden(1) : encodeCheckpoint(sample());
    for (let size = 0; size < bytes.byteLength; size++) {
      if (Object.hasOwn(inspectCheckpoint(bytes.slice(0, size)), "why")) continue;
      expect.fail(`${size} of ${bytes.byteLength} bytes were taken for a checkpoint`);
    }
    for (let bit = 0; bit < bytes.byteLength * 8; bit++) {
      if (Object.hasOwn(inspectCheckpoint(flip(bytes, bit)), "why")) continue;
      expect.fail(`flipped bit ${bit & 7} of byte ${bit >> 3} was not noticed`);
    }
    expect(damage(flip(bytes, 300))).toMatchObject({
      code: "CHECKPOINT_DIGEST",
      details: { path: "a.ckpt", expected: expect.any(String), found: expect.any(String) },
    });
    expect(damage(Uint8Array.from([...bytes, 0]))).toMatchObject({ code: "CHECKPOINT_DIGEST" });
  });

  it("names the offset of the damaged array, what it expected and what it found", () => {
    const arrays = { a: new Float32Array(64).fill(1), b: new Float32Array(64).fill(2) };
    const bytes = encodeCheckpoint({ meta: {}, arrays });
    const expected = hexDigest(new Uint8Array(arrays.b.buffer));
    bytes[bytes.byteLength - 32 - 16]! ^= 1;
    expect(damage(bytes)).toMatchObject({
      message: expect.stringContaining('the digest of the array "b" does not match'),
      details: { offset: bytes.byteLength - 32 - 256, expected },
    });
  });

  it("tells a flipped bit of the manifest by the manifest's digest, at the manifest", () => {
    const bytes = encodeCheckpoint(sample());
    const manifestBytes = new DataView(bytes.buffer).getUint32(12, true);
    const expected = Buffer.from(bytes.subarray(-32)).toString("hex");
    const told = new Set<string>();
    for (let bit = 16 * 8; bit < (16 + manifestBytes) * 8; bit++) {
      const flaw = inspectCheckpoint(flip(bytes, bit));
      if (!isFlaw(flaw)) expect.fail(`bit ${bit} was not noticed`);
      told.add(flaw.why);
      if (flaw.offset === 16) expect(flaw.expected).toBe(expected);
      else expect(flaw.offset).toBe(bytes.byteLength);
    }
    expect([...told].sort()).toEqual([
      "its length or its manifest is not what it was",
      "the digest of its manifest does not match",
    ]);
  });

  it("does not turn a number that JSON cannot hold into null", () => {
    expect(() => encodeCheckpoint({ meta: { best: Number.NaN }, arrays: {} })).toThrow(/best/);
  });

  it("reads the formats of earlier versions for ever, and writes today's unchanged", () => {
    expect(decodeCheckpoint(golden(1), "golden")).toEqual(firstSample(7));
    expect(decodeCheckpoint(golden(2), "golden")).toEqual(sample(7));
    expect(encodeCheckpoint(sample(7))).toEqual(new Uint8Array(golden(2)));
  });
});

describe("hostile contents with right digests", () => {
  const four = new Uint8Array(16);
  const first = (...entries: object[]) =>
    forged(1, JSON.stringify({ meta: {}, arrays: entries }), four);
  const second = (...entries: object[]) =>
    forged(2, JSON.stringify({ meta: {}, arrays: entries }), four);
  const entry = (fields: object) => ({ name: "a", crc32c: 0, length: 4, offset: 0, ...fields });
  const typed = (fields: object) => ({
    ...{ name: "a", type: "f32", sha256: hexDigest(four), length: 4, offset: 0 },
    ...fields,
  });
  const cases: readonly (readonly [string, Uint8Array])[] = [
    ["no JSON", forged(2, "not json")],
    ["no arrays", forged(2, '{"meta":{}}')],
    ["a list for metadata", forged(2, '{"meta":[],"arrays":[]}')],
    ["depth", forged(2, `{"meta":{"a":${"[".repeat(100)}${"]".repeat(100)}},"arrays":[]}`)],
    ["depth in version 1", forged(1, `{"meta":{"a":${"[".repeat(1e5)}`)],
    ["a length beyond the file", first(entry({ length: 1_000_000 }))],
    ["an offset beyond the file", first(entry({ offset: 2 ** 40 }))],
    ["a negative length", first(entry({ length: -1 }))],
    ["a length that is no integer", first(entry({ length: 1.5 }))],
    ["a length that overflows", second(typed({ length: Number.MAX_SAFE_INTEGER }))],
    ["a length of NaN", second(typed({ length: Number.NaN }))],
    ["a length of infinity", forged(2, '{"meta":{},"arrays":[{"name":"a","length":1e999}]}')],
    ["an offset in the middle", second(typed({ offset: 4, length: 3 }))],
    ["two arrays in one place", second(typed({}), typed({ name: "b" }))],
    ["one name twice", second(typed({ length: 2 }), typed({ length: 2, offset: 8 }))],
    ["names out of order", second(typed({ name: "b", length: 2 }), typed({ offset: 8 }))],
    ["an unknown type", second(typed({ type: "f16" }))],
    ["a type that does not fill the file", second(typed({ type: "u8" }))],
    ["a digest that is none", second(typed({ sha256: "0" }))],
    ["a field more", second(typed({ extra: 1 }))],
    ["a prototype", forged(2, '{"meta":{"__proto__":{"polluted":1}},"arrays":[]}')],
    ["a deep prototype", forged(2, '{"meta":{"a":[{"__proto__":{"polluted":1}}]},"arrays":[]}')],
    ["an escaped prototype", forged(1, '{"meta":{"\\u005f_proto__":{}},"arrays":[]}')],
  ];

  it("would be read if they were right", () => {
    const bytes = second(typed({}));
    expect(decodeCheckpoint(bytes, "a").arrays["a"]).toEqual(new Float32Array(4));
  });

  it.each(cases)("are refused: %s", (_what, bytes) => {
    expect(damage(bytes)).toMatchObject({ code: "CHECKPOINT_DIGEST", details: { path: "a.ckpt" } });
    expect("polluted" in {}).toBe(false);
  });

  it("that hide in the gap behind an array are refused", () => {
    const body = Uint8Array.of(1, 2, 3, 0, 0, 0, 0, 9);
    const entries = [typed({ type: "u8", length: 3, sha256: hexDigest(body.subarray(0, 3)) })];
    const bytes = forged(2, JSON.stringify({ meta: {}, arrays: entries }), body);
    expect(damage(bytes)).toMatchObject({ details: { found: "9", expected: "0" } });
  });

  it("of a newer format are refused by its number", () => {
    const bytes = encodeCheckpoint(sample());
    new DataView(bytes.buffer).setUint32(8, 3, true);
    expect(damage(bytes)).toMatchObject({
      code: "CHECKPOINT_VERSION",
      message: expect.stringContaining("Use the version that wrote it"),
      details: { offset: 8, expected: "1 or 2", found: "3" },
    });
    new DataView(bytes.buffer).setUint32(8, 0, true);
    expect(damage(bytes)).toMatchObject({ code: "CHECKPOINT_DIGEST", details: { offset: 8 } });
  });
});
