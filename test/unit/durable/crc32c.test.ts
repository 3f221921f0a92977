import { expect, it } from "vitest";
import { blockOf, crc32c, crc32cRange } from "../../../src/runtime/durable/crc32c.ts";
import { createRandom } from "../../../src/runtime/random.ts";

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

it("agrees with the published check values of CRC-32C", () => {
  expect(crc32c(text("123456789"))).toBe(0xe3069283);
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, index) => index))).toBe(0x46dd794e);
});

it("can be continued", () => {
  expect(crc32c(text("56789"), crc32c(text("1234")))).toBe(crc32c(text("123456789")));
});

/** The definition: one bit after the other. */
function bitByBit(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

it("is that of the definition for every length and every place in the memory", () => {
  const random = createRandom(1, "crc32c");
  const memory = Uint8Array.from({ length: 200 }, () => random.integer(256));
  for (let from = 0; from < 20; from++) {
    for (let to = from; to <= memory.byteLength; to += 1 + random.integer(3)) {
      const wanted = bitByBit(memory.subarray(from, to));
      expect(crc32c(memory.subarray(from, to))).toBe(wanted);
      expect(crc32cRange(blockOf(memory), from, to)).toBe(wanted);
    }
  }
});
