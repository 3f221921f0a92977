import { describe, expect, it } from "vitest";
import {
  decodeStatements,
  encodeStatements,
  type Statement,
} from "../../../src/runtime/durable/outbox-record.ts";

const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const none = { accepted: 0, acknowledged: 0, retries: 0, dead: 0 };

/** Bytes that were written once and must be read for ever. */
const GOLDEN: readonly (readonly [name: string, hex: string, says: readonly Statement[]])[] = [
  [
    "a record of the first version",
    "0300616263070809",
    [{ kind: "entry", id: "abc", lane: null, subject: "", payload: Uint8Array.of(7, 8, 9) }],
  ],
  [
    "an entry that waits in a lane, and a note that goes with it",
    "00000201040100610100730200000001020501006b0101000000090501006d00",
    [
      { kind: "entry", id: "a", lane: "bulk", subject: "s", payload: Uint8Array.of(1, 2) },
      { kind: "note", key: "k", bytes: Uint8Array.of(9) },
      { kind: "note", key: "m", bytes: null },
    ],
  ],
  [
    "ends of entries",
    "00000202020000000100610200c3bc0301006303000000040062757379040100000001006402006e6f",
    [
      { kind: "acknowledged", ids: ["a", "ü"] },
      { kind: "failed", id: "c", attempts: 3, why: "busy" },
      { kind: "dead", ids: ["d"], why: "no" },
    ],
  ],
];

describe("a record of an outbox", () => {
  it.each(GOLDEN)("is read as it was written: %s", (_name, hex, says) => {
    expect(decodeStatements(bytesOf(hex))).toEqual(says);
  });

  it.each(GOLDEN.slice(1))("is written as it is read: %s", (_name, hex, says) => {
    expect(hexOf(encodeStatements(says))).toBe(hex);
  });

  it("carries every kind, any text and an empty payload", () => {
    const lanes = {
      system: { ...none, accepted: 2 ** 40 },
      emergency: { ...none, acknowledged: 3 },
      control: { ...none, retries: 4 },
      bulk: { ...none, dead: 5 },
    };
    const says: readonly Statement[] = [
      { kind: "totals", lanes },
      {
        kind: "entry",
        id: "ü".repeat(512),
        lane: "emergency",
        subject: "",
        payload: new Uint8Array(),
      },
      { kind: "entry", id: "x", lane: "system", subject: "y", payload: new Uint8Array(70_000) },
      { kind: "acknowledged", ids: [] },
    ];
    expect(decodeStatements(encodeStatements(says))).toEqual(says);
  });

  it("that is cut off anywhere is refused, or ends between two statements", () => {
    const says = GOLDEN.slice(1).flatMap(([, , statements]) => statements);
    const whole = encodeStatements(says);
    let wholePrefixes = 0;
    for (let size = 0; size < whole.byteLength; size++) {
      try {
        expect(says.slice(0, decodeStatements(whole.subarray(0, size)).length)).toEqual(
          decodeStatements(whole.subarray(0, size)),
        );
        wholePrefixes++;
      } catch (error) {
        expect(error).toMatchObject({
          code: "FRAME_MALFORMED",
          details: { offset: expect.any(Number) },
        });
      }
    }
    expect(wholePrefixes).toBe(says.length);
  });

  it.each([
    ["another version", "000003", 2],
    ["a statement of no kind", "00000263", 3],
    ["a lane that is none", "0000020105", 4],
    ["a list that would not fit", "00000202ffffffff", 8],
    ["a payload that is longer than the record", "000002010001006100000900000001", 14],
  ])("is refused with its place: %s", (_name, hex, offset) => {
    expect(() => decodeStatements(bytesOf(hex))).toThrowError(
      expect.objectContaining({
        code: "FRAME_MALFORMED",
        details: expect.objectContaining({ offset }),
      }),
    );
  });

  it.each(["id", "subject"])("with too long an %s is not written", (what) => {
    const entry = {
      kind: "entry",
      id: "a",
      lane: null,
      subject: "",
      payload: new Uint8Array(),
    } as const;
    expect(() => encodeStatements([{ ...entry, [what]: "x".repeat(1_025) }])).toThrowError(
      expect.objectContaining({ code: "FRAME_MALFORMED" }),
    );
  });
});
