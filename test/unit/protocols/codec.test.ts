import { readFileSync } from "node:fs";
import fc from "fast-check";
import { Packr } from "msgpackr";
import { describe, expect, it } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import {
  decodeCommand,
  decodeFieldReport,
  encodeCommand,
  encodeFieldReport,
  MAX_FRAME_BYTES,
} from "../../../src/protocols/leyline/codec.ts";
import { refuseShape } from "../../../src/protocols/leyline/frame-depth.ts";
import { sampleCommand, sampleReport } from "./frames.ts";

const packr = new Packr({ useRecords: false, mapsAsObjects: false, variableMapSize: true });

const codeOf = (work: () => unknown): string | null => {
  try {
    work();
    return null;
  } catch (error) {
    if (error instanceof EsperError) return error.code;
    throw error;
  }
};

const golden = (name: string): { hex: string; value: unknown } =>
  JSON.parse(readFileSync(new URL(`../../golden/${name}.json`, import.meta.url), "utf8"));

const kinds = [
  {
    name: "command",
    frame: () => encodeCommand(sampleCommand()),
    value: sampleCommand(),
    decode: decodeCommand,
  },
  {
    name: "field-report",
    frame: () => encodeFieldReport(sampleReport()),
    value: sampleReport(),
    decode: decodeFieldReport,
  },
];

describe.each(kinds)("a $name frame", ({ name, frame, value, decode }) => {
  it("comes back as it was sent", () => {
    expect(decode(frame())).toEqual(value);
  });

  it("has the bytes it always had", () => {
    const { hex, value: stored } = golden(`${name}-v1`);
    expect(Buffer.from(frame()).toString("hex")).toBe(hex);
    expect(decode(Buffer.from(hex, "hex"))).toEqual(stored);
  });

  it("is refused when it is cut off at any byte or something follows it", () => {
    const whole = frame();
    for (let size = 0; size < whole.byteLength; size++) {
      expect(codeOf(() => decode(whole.subarray(0, size)))).toBe("FRAME_MALFORMED");
    }
    expect(codeOf(() => decode(Uint8Array.from([...whole, 0xc0])))).toBe("FRAME_MALFORMED");
  });

  it("ends in a value or a coded error for any mutation, and quickly", () => {
    const whole = frame();
    const edit = fc.record({
      at: fc.nat(whole.byteLength - 1),
      byte: fc.integer({ min: 0, max: 255 }),
      remove: fc.nat(3),
      insert: fc.uint8Array({ maxLength: 6 }),
    });
    const startedMs = performance.now();
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
        let bytes = [...whole];
        for (const { at, byte, remove, insert } of edits) {
          bytes = [...bytes.slice(0, at), byte, ...insert, ...bytes.slice(at + 1 + remove)];
        }
        const code = codeOf(() => decode(Uint8Array.from(bytes)));
        expect([null, "FRAME_MALFORMED", "FRAME_TOO_LARGE"]).toContain(code);
      }),
      { numRuns: 5_000 },
    );
    expect((performance.now() - startedMs) / 5_000).toBeLessThan(5);
  });

  it("ends in a coded error for random bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(codeOf(() => decode(bytes))).toBe("FRAME_MALFORMED");
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("what a frame may be", () => {
  it("accepts and skips field numbers of a newer writer", () => {
    const wider = packr.pack(new Map<number, unknown>([[99, ["x"]]]));
    const whole = encodeCommand(sampleCommand());
    // Both are fixed-size maps: one header, then the entries.
    const entries = (whole[0] as number) & 0x0f;
    const bytes = Uint8Array.from([0x80 | (entries + 1), ...whole.slice(1), ...wider.subarray(1)]);
    expect(decodeCommand(bytes)).toEqual(sampleCommand());
  });

  it("names the field that is wrong", () => {
    const wrong = encodeCommand({ ...sampleCommand(), issuedAtMs: -1 });
    expect(() => decodeCommand(wrong)).toThrow(/issuedAtMs/);
    const nan = encodeFieldReport({ ...sampleReport(), metrics: { risk: Number.NaN } });
    expect(() => decodeFieldReport(nan)).toThrow(/metrics.risk/);
  });

  it("is refused by size before anything else", () => {
    const large = new Uint8Array(MAX_FRAME_BYTES + 1);
    expect(codeOf(() => decodeCommand(large))).toBe("FRAME_TOO_LARGE");
    expect(codeOf(() => decodeFieldReport(large))).toBe("FRAME_TOO_LARGE");
  });

  it("does not let map keys reach the prototype", () => {
    const command = sampleCommand();
    const annotations = JSON.parse('{"__proto__":"x"}') as Record<string, string>;
    const decoded = decodeCommand(encodeCommand({ ...command, annotations }));
    expect(Object.getPrototypeOf(decoded.annotations)).toBe(Object.prototype);
  });
});

describe("the walk over the headers", () => {
  const hex = (text: string): Uint8Array => Buffer.from(text.replaceAll(" ", ""), "hex");

  it("accepts every kind of value that Leyline uses", () => {
    const value = new Map<unknown, unknown>([
      [1, "text"],
      [2, "x".repeat(40)],
      [3, "x".repeat(300)],
      [4, "x".repeat(70_000)],
      [5, [1, -1, 200, -200, 70_000, -70_000, 2 ** 40, 1.5, null, true, false]],
      [6, new Uint8Array(300)],
      [7, Array.from({ length: 20 }, () => 1)],
      [8, new Map(Array.from({ length: 20 }, (_, index) => [index, []]))],
    ]);
    expect(refuseShape(packr.pack(value), 8)).toBeNull();
  });

  it("counts containers, not values", () => {
    const nested = (depth: number) => hex(`${"91".repeat(depth)}c0`);
    expect(refuseShape(nested(8), 8)).toBeNull();
    expect(refuseShape(nested(9), 8)).toMatch(/deeper than 8/);
    expect(refuseShape(nested(16_000), 8)).toMatch(/deeper than 8/);
    expect(refuseShape(hex("92 91 91 c0 91 91 c0"), 3)).toBeNull();
  });

  it.each([
    ["a text of 4 GiB", "db ffffffff 61"],
    ["binary of 4 GiB", "c6 ffffffff 61"],
    ["an array of 4 billion", "dd ffffffff c0"],
    ["a map of 4 billion", "df ffffffff c0 c0"],
    ["an array of 65,535", "dc ffff c0"],
    ["a map with a missing value", "81 01"],
    ["a short text", "a5 6161"],
    ["a number cut off", "cb 0000"],
  ])("refuses %s", (_what, bytes) => {
    expect(refuseShape(hex(bytes), 8)).not.toBeNull();
    expect(codeOf(() => decodeCommand(hex(bytes)))).toBe("FRAME_MALFORMED");
  });

  it.each(["c1", "d4 01 00", "d6 ff 00000000", "c7 00 01", "d9", "da 00"])(
    "refuses the extension, reserved or unfinished type %s",
    (bytes) => {
      expect(refuseShape(hex(bytes), 8)).toMatch(/not allowed|does not begin/);
    },
  );

  it("agrees with the decoder about what one whole value is", () => {
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 4 },
        fc.string(),
        fc.integer(),
        fc.double(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie("any"), { maxLength: 4 }),
        fc.array(fc.tuple(fc.nat(40), tie("any")), { maxLength: 4 }).map((list) => new Map(list)),
      ),
    })).any;
    fc.assert(
      fc.property(value, (item) => {
        const bytes = packr.pack(item);
        expect(refuseShape(bytes, 16)).toBeNull();
        for (let size = 0; size < Math.min(bytes.byteLength, 64); size++) {
          expect(refuseShape(bytes.subarray(0, size), 16)).not.toBeNull();
        }
      }),
      { numRuns: 500 },
    );
  });
});
