import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  decodeRecord,
  encodeClaim,
  encodeFloor,
  type LedgerRecord,
} from "../../../../src/actors/ledger/claim-record.ts";
import { commandId, parseCommandId } from "../../../../src/protocols/leyline/command-id.ts";

interface Golden {
  readonly format: number;
  readonly record: LedgerRecord;
  readonly hex: string;
}
const golden = JSON.parse(
  readFileSync(new URL("../../../golden/ledger-claims.json", import.meta.url), "utf8"),
) as readonly Golden[];

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));

describe("a record on disk", () => {
  it.each(golden)("of format $format is read for ever: $record.commandId", ({ record, hex }) => {
    expect(decodeRecord(bytesOf(hex))).toEqual(record);
  });

  it("is written as the golden file of the newest format says", () => {
    const newest = golden.filter(({ format }) => format === 2);
    expect(newest.length).toBeGreaterThan(1);
    for (const { record, hex: expected } of newest) {
      const { kind } = record;
      const bytes =
        kind === "claim" ? encodeClaim(record) : encodeFloor(record.runId, record.floorMs);
      expect(hex(bytes)).toBe(expected);
    }
    expect(new Set(newest.map(({ record }) => record.kind))).toEqual(new Set(["claim", "floor"]));
  });

  it("is refused, never guessed, when it is cut, longer, unknown or not a time", () => {
    const claim = { commandId: "run/1/7", issuedAtMs: 5, floorMs: 4, attempt: "ab" };
    const whole = encodeClaim(claim);
    const broken: Uint8Array[] = [];
    for (let size = 0; size < whole.byteLength; size++) broken.push(whole.subarray(0, size));
    broken.push(new Uint8Array([...whole, 0]));
    for (const [at, value] of [
      [0, 3],
      [1, 3],
      [2, 200],
      [24, 0xff],
    ] as const) {
      const copy = new Uint8Array(whole);
      copy[at] = value;
      broken.push(copy);
    }
    broken.push(encodeClaim({ ...claim, issuedAtMs: Number.NaN }));
    for (const bytes of broken) {
      expect(() => decodeRecord(bytes)).toThrowError(
        expect.objectContaining({ code: "FRAME_MALFORMED" }),
      );
    }
  });
});

describe("a command id", () => {
  it("comes back as run, incarnation and counter, also of a run with slashes", () => {
    for (const runId of ["run-1", "a/b/3", "20261121-130509-two-spirals-abcd"]) {
      const identity = { runId, incarnation: 12, counter: 0 };
      expect(parseCommandId(commandId(identity))).toEqual(identity);
    }
  });

  it("is none without a run, an incarnation from 1 and a counter", () => {
    for (const id of ["", "cmd-1", "run/1", "run/0/1", "run/1/", "/1/1", "run/-1/1", "run/1/x"]) {
      expect(parseCommandId(id)).toBeNull();
    }
  });
});
