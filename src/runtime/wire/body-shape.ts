/**
 * Walks the headers of a msgpack body without building it: what is cut off, claims more than there
 * is, nests too deep, uses a type or a record shape that our encoder never writes, is refused
 * before the decoder allocates anything. Time and memory are bounded by the number of bytes.
 */
import { DEPTH_MAX } from "./check-payload.ts";
import { BOX_TYPE } from "./odd-values.ts";

/** Deeper than any payload: a box adds two levels to what it holds. */
const CONTAINERS_MAX = DEPTH_MAX * 3;
const open = new Int32Array(CONTAINERS_MAX + 1);

/** Why the bytes are refused, or null. */
export type BodyRefusal = string | null;

/** Looks a record shape up: its number of keys, or -1. */
export type KeyCount = (index: number) => number;

const UNDEFINED = 0x00;
const BIGINT = 0x42;
const SET = 0x73;
const VIEW = 0x74;
const DATE = 0xff;

/** What a head may be instead of a number of bytes. */
const CUT = -1;
const FOREIGN = -2;
const NO_SHAPE = -3;
/** How many values are nested in the value whose head was read last. */
let children = 0;

/**
 * Checks that bytes [0, end) are exactly one whole value of ours.
 * The bytes may claim anything; nothing they say is believed before it is compared with `end`.
 */
export function refuseBody(bytes: Uint8Array, end: number, keyCount: KeyCount): BodyRefusal {
  let at = 0;
  let depth = 0;
  let left = 1;
  while (left > 0 || depth > 0) {
    if (left === 0) {
      depth -= 1;
      left = open[depth] ?? 0;
      continue;
    }
    const size = at < end ? headSize(bytes, at, keyCount) : CUT;
    if (size < 0) return wordsFor(size, at);
    at += size;
    left -= 1;
    if (children === 0) continue;
    // A child takes at least one byte, so a larger number is a lie about what follows.
    if (children > end - at || depth >= CONTAINERS_MAX) return wordsForInside(depth, at);
    open[depth] = left;
    depth += 1;
    left = children;
  }
  return at === end ? null : wordsForEnd(at, end);
}

const wordsForEnd = (at: number, end: number): string =>
  at > end ? wordsFor(CUT, end) : `${end - at} bytes follow its end`;

function wordsFor(refusal: number, at: number): string {
  if (refusal === CUT) return `it is cut off at byte ${at}, inside a value`;
  if (refusal === NO_SHAPE) return `the record at byte ${at} has a shape that nobody defined`;
  return `byte ${at} does not begin a value that is allowed here`;
}

function wordsForInside(depth: number, at: number): string {
  if (depth >= CONTAINERS_MAX) return `it is nested deeper than ${CONTAINERS_MAX}`;
  return `the value before byte ${at} claims too much`;
}

/** Bytes of the value at `at` without what is nested in it, or why it is refused. */
function headSize(bytes: Uint8Array, at: number, keyCount: KeyCount): number {
  const first = bytes[at] ?? 0;
  children = 0;
  // Small integers and short texts: most of what there is.
  if (first < 0x40 || first >= 0xe0) return 1;
  if (first >= 0xa0 && first < 0xc0) return 1 + (first & 0x1f);
  const rest =
    first < 0xa0 ? shortHead(bytes, at + 1, first, keyCount) : longHead(bytes, at + 1, first);
  return rest < 0 ? rest : rest + 1;
}

/** Records, maps and arrays whose first byte holds their number or length. */
function shortHead(bytes: Uint8Array, at: number, first: number, keyCount: KeyCount): number {
  if (first >= 0x90) {
    children = first & 0x0f;
    return 0;
  }
  if (first >= 0x80) {
    children = (first & 0x0f) * 2;
    return 0;
  }
  const paged = first >= 0x60;
  const index = paged ? 32 + (first & 0x1f) + ((bytes[at] ?? 0) << 5) : first & 0x3f;
  const keys = keyCount(index);
  if (keys < 0) return NO_SHAPE;
  children = keys;
  return paged ? 1 : 0;
}

function longHead(bytes: Uint8Array, at: number, first: number): number {
  switch (first) {
    case 0xc0:
    case 0xc2:
    case 0xc3:
      return 0;
    case 0xcc:
    case 0xd0:
      return 1;
    case 0xcd:
    case 0xd1:
      return 2;
    case 0xca:
    case 0xce:
    case 0xd2:
      return 4;
    case 0xcb:
    case 0xcf:
    case 0xd3:
      return 8;
    case 0xc4:
    case 0xd9:
      return sized(bytes, at, 1, 0);
    case 0xc5:
    case 0xda:
      return sized(bytes, at, 2, 0);
    case 0xc6:
    case 0xdb:
      return sized(bytes, at, 4, 0);
    default:
      return first >= 0xdc ? container(bytes, at, first) : extension(bytes, at, first);
  }
}

/** A length of that width, the bytes it counts, and `more` in front of them. */
function sized(bytes: Uint8Array, at: number, width: number, more: number): number {
  const length = lengthAt(bytes, at, width);
  return length < 0 ? CUT : width + more + length;
}

function lengthAt(bytes: Uint8Array, at: number, width: number): number {
  if (at + width > bytes.length) return CUT;
  let length = 0;
  for (let index = 0; index < width; index += 1) length = length * 256 + (bytes[at + index] ?? 0);
  return length;
}

/** Arrays (0xdc, 0xdd) and maps (0xde, 0xdf) of 16 and 32 bit lengths. */
function container(bytes: Uint8Array, at: number, first: number): number {
  const width = (first & 1) === 0 ? 2 : 4;
  const length = lengthAt(bytes, at, width);
  if (length < 0) return CUT;
  children = first < 0xde ? length : length * 2;
  return width;
}

/** Only the extensions that our encoder writes. */
function extension(bytes: Uint8Array, at: number, first: number): number {
  if (first >= 0xc7 && first <= 0xc9) return sizedExtension(bytes, at, 1 << (first - 0xc7));
  if (first < 0xd4 || first > 0xd8) return FOREIGN;
  const type = bytes[at] ?? -1;
  if (first === 0xd4) {
    children = type === SET || type === BOX_TYPE ? 1 : 0;
    return children === 1 || type === UNDEFINED || type === DATE ? 2 : FOREIGN;
  }
  return type === BIGINT || type === DATE ? 1 + (1 << (first - 0xd4)) : FOREIGN;
}

function sizedExtension(bytes: Uint8Array, at: number, width: number): number {
  const type = bytes[at + width] ?? -1;
  const known = type === VIEW || type === BIGINT || type === DATE;
  return known ? sized(bytes, at, width, 1) : FOREIGN;
}
