import fc from "fast-check";
import { Packr } from "msgpackr";
import { expect, it } from "vitest";
import { decodeFieldReport, encodeFieldReport } from "../../../src/protocols/leyline/codec.ts";
import { PlainWriter } from "../../../src/protocols/leyline/plain-writer.ts";
import { sampleReport } from "./frames.ts";

const packr = new Packr({ useRecords: false, mapsAsObjects: false, variableMapSize: true });
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

function written(write: (writer: PlainWriter) => void): string {
  const writer = new PlainWriter();
  writer.begin();
  write(writer);
  expect(writer.isWhole).toBe(true);
  return hexOf(writer.end());
}

const edges = [0, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x10000, 2 ** 31, 2 ** 32 - 1, 2 ** 32];
const numbers = [...edges, ...edges.map((edge) => -edge - 1), -0x20, -0x80, -0x8000, 0.1, -0, NaN];

it("writes numbers as the general encoder does", () => {
  for (const value of numbers) {
    expect(
      written((writer) => writer.number(value)),
      `${value}`,
    ).toBe(hexOf(packr.pack(value)));
  }
  fc.assert(
    fc.property(fc.oneof(fc.integer(), fc.double()), (value) => {
      expect(written((writer) => writer.number(value))).toBe(hexOf(packr.pack(value)));
    }),
  );
});

it("writes maps of plain texts as the general encoder does, of any size", () => {
  for (const size of [0, 1, 15, 16, 64, 300]) {
    const map = new Map(Array.from({ length: size }, (_, at) => ["k".repeat(at % 256), at]));
    const own = written((writer) => {
      writer.map(map.size);
      for (const [key, value] of map) {
        writer.text(key);
        writer.number(value);
      }
    });
    expect(own).toBe(hexOf(packr.pack(map)));
  }
});

it.each(["é", "x".repeat(256), `${"x".repeat(200)}\u{1f331}`])(
  "says that %j is not plain",
  (text) => {
    const writer = new PlainWriter();
    writer.begin();
    writer.text(text);
    expect(writer.isWhole).toBe(false);
  },
);

it("leaves reports that are not plain to the general encoder, with the same result", () => {
  for (const notes of ["", "ASCII", "Größe", "y".repeat(1_024)]) {
    const report = { ...sampleReport(), notes, metrics: { ü: 1, b: -2.5, a: 3 } };
    for (const one of [report, { ...report, metrics: { b: 1, a: 0.5 } }]) {
      expect(decodeFieldReport(encodeFieldReport(one))).toEqual(one);
    }
  }
});
