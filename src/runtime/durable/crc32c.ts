/**
 * CRC-32C (Castagnoli, reflected polynomial 0x82F63B78): finds every error of up to 32 bits.
 * Sixteen bytes a turn, each through a table of its own: four times as fast as byte by byte.
 */

/** Bytes with the view that reads numbers from them; both begin at the same place. */
export interface Block {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** The block of these bytes, not a copy. */
export function blockOf(bytes: Uint8Array): Block {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
}

const SLICES = 16;
/** Row k: what a byte adds when k more bytes follow it in the same turn. */
const TABLE = new Int32Array(256 * SLICES);
for (let byte = 0; byte < 256; byte++) {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) {
    value = (value & 1) === 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  }
  TABLE[byte] = value;
}
for (let index = 256; index < TABLE.length; index++) {
  const before = TABLE[index - 256] as number;
  TABLE[index] = (before >>> 8) ^ (TABLE[before & 0xff] as number);
}

/** The share of the four bytes of `word`, when `row` says how many bytes follow them. */
function wordShare(word: number, row: number): number {
  return (
    (TABLE[row + 768 + (word & 0xff)] as number) ^
    (TABLE[row + 512 + ((word >>> 8) & 0xff)] as number) ^
    (TABLE[row + 256 + ((word >>> 16) & 0xff)] as number) ^
    (TABLE[row + (word >>> 24)] as number)
  );
}

/** The checksum of the bytes from `from` up to `to`; `previous` is continued. */
export function crc32cRange(block: Block, from: number, to: number, previous = 0): number {
  const { bytes, view } = block;
  let crc = ~previous;
  let at = from;
  for (const last = to - SLICES; at <= last; at += SLICES) {
    crc =
      wordShare(crc ^ view.getInt32(at, true), 3_072) ^
      wordShare(view.getInt32(at + 4, true), 2_048) ^
      wordShare(view.getInt32(at + 8, true), 1_024) ^
      wordShare(view.getInt32(at + 12, true), 0);
  }
  for (; at < to; at++) {
    crc = (TABLE[(crc ^ (bytes[at] as number)) & 0xff] as number) ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}

/** The checksum of `bytes`; pass an earlier result as `previous` to continue it. */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  return crc32cRange(blockOf(bytes), 0, bytes.byteLength, previous);
}
