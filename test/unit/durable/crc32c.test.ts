import { expect, it } from "vitest";
import { crc32c } from "../../../src/runtime/durable/crc32c.ts";

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
