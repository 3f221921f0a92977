/**
 * Random damage to a log: flipped bits, garbage, and sectors or frames that are missing, repeated,
 * exchanged, or of another log. Never a wrong payload; what is lost without a word is only the end
 * of a log whose closing mark was hit too.
 */
import { describe, expect, it } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import { createRandom, type Random } from "../../../src/runtime/random.ts";
import {
  all,
  expectPrefix,
  FIRST,
  LightFiles,
  lightLog,
  salvaged,
  tryOpen,
} from "./wal-support.ts";

const SECTOR = 512;
const HEADER = 56;
const RECORD = 300;
const FRAME = HEADER + RECORD;
const COUNT = 40;
const CASES_OF_EACH = 3_400;
const PATIENCE_MS = 240_000;

interface Damaged {
  readonly bytes: Uint8Array;
  readonly foreign: Uint8Array;
  readonly random: Random;
}

const place = (random: Random, bytes: Uint8Array, unit: number): number =>
  random.integer(Math.floor(bytes.byteLength / unit)) * unit;

/** Copies one unit of `from` over another of `bytes`. */
function overwrite({ bytes, random }: Damaged, from: Uint8Array, unit: number): void {
  const source = place(random, from, unit);
  bytes.set(from.slice(source, source + unit), place(random, bytes, unit));
}

function exchange({ bytes, random }: Damaged, unit: number): void {
  const [one, other] = [place(random, bytes, unit), place(random, bytes, unit)];
  const held = bytes.slice(one, one + unit);
  bytes.copyWithin(one, other, other + unit);
  bytes.set(held, other);
}

const DAMAGES: Readonly<Record<string, (damaged: Damaged) => void>> = {
  "2 to 8 flipped bits": ({ bytes, random }) => {
    for (let left = 2 + random.integer(7); left > 0; left--) {
      const at = random.integer(bytes.byteLength);
      bytes[at] = (bytes[at] as number) ^ (1 << random.integer(8));
    }
  },
  "32 bytes of garbage": ({ bytes, random }) => {
    const from = random.integer(bytes.byteLength - 32);
    for (let at = from; at < from + 32; at++) bytes[at] = random.integer(256);
  },
  "a sector of zeros": ({ bytes, random }) => {
    const from = place(random, bytes, SECTOR);
    bytes.fill(0, from, from + SECTOR);
  },
  "a repeated sector": (damaged) => overwrite(damaged, damaged.bytes, SECTOR),
  "a sector of another log": (damaged) => overwrite(damaged, damaged.foreign, SECTOR),
  "exchanged sectors": (damaged) => exchange(damaged, SECTOR),
  "a repeated frame": (damaged) => overwrite(damaged, damaged.bytes, FRAME),
  "a frame of another log": (damaged) => overwrite(damaged, damaged.foreign, FRAME),
  "exchanged frames": (damaged) => exchange(damaged, FRAME),
};

describe("a closed log with", () => {
  it.each(Object.keys(DAMAGES))(
    "%s never gives a wrong payload",
    async (kind) => {
      const sizes = new Array<number>(COUNT).fill(RECORD);
      const whole = (await lightLog(sizes, true)).bytes(FIRST);
      const foreign = (await lightLog(sizes, true)).bytes(FIRST);
      const random = createRandom(7, kind);
      let named = 0;
      for (let index = 0; index < CASES_OF_EACH; index++) {
        const bytes = whole.slice();
        DAMAGES[kind]?.({ bytes, foreign, random });
        if (await isNamed(bytes, whole)) named++;
      }
      // Exchanging a sector with itself damages nothing, and a hit on the end may look torn.
      expect(named).toBeGreaterThan(CASES_OF_EACH * 0.9);
    },
    PATIENCE_MS,
  );
});

/** Opens strictly and as a salvage; true when the strict opening named the damage. */
async function isNamed(bytes: Uint8Array, whole: Uint8Array): Promise<boolean> {
  const mark = whole.byteLength - HEADER;
  const isMarkHit = Buffer.compare(bytes.subarray(mark), whole.subarray(mark)) !== 0;
  const strict = await tryOpen({ files: LightFiles.of(bytes.slice()) });
  const kept = strict instanceof EsperError ? null : await all(strict);
  if (kept !== null) {
    expectPrefix(kept);
    if (kept.length < COUNT && !isMarkHit) expect.fail(`${COUNT - kept.length} lost unseen`);
  }
  const found = await all(await salvaged(LightFiles.of(bytes)));
  expectPrefix(found);
  if (kept !== null) expect(found.length).toBe(kept.length);
  return kept === null;
}
