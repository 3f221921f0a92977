/**
 * Walks the headers of one msgpack value without building it: what is nested too deep, claims more
 * bytes than there are, repeats itself behind its end or uses types that Leyline does not, is
 * refused before a decoder allocates anything. Time and memory are bounded by the frame's size.
 */

/** Why the bytes are refused, or null when they may be decoded. */
export type ShapeRefusal = string | null;

/** What one header says: bytes of header and body, and how many values follow inside. */
interface Head {
  readonly bytes: number;
  readonly children: number;
}

/** Sizes of the values whose first byte alone decides, by that byte. */
const FIXED_BYTES: Readonly<Record<number, number>> = {
  192: 1, // nil
  194: 1, // false
  195: 1, // true
  202: 5, // float 32
  203: 9, // float 64
  204: 2, // unsigned 8 to 64
  205: 3,
  206: 5,
  207: 9,
  208: 2, // signed 8 to 64
  209: 3,
  210: 5,
  211: 9,
};

/** Width in bytes of the length that follows the first byte of binary and string values. */
const BYTES_WIDTH: Readonly<Record<number, 1 | 2 | 4>> = {
  196: 1, // binary
  197: 2,
  198: 4,
  217: 1, // string
  218: 2,
  219: 4,
};

/** The same for arrays and maps, with the number of values per item. */
const ITEMS_WIDTH: Readonly<Record<number, { readonly width: 2 | 4; readonly each: 1 | 2 }>> = {
  220: { width: 2, each: 1 },
  221: { width: 4, each: 1 },
  222: { width: 2, each: 2 },
  223: { width: 4, each: 2 },
};

function lengthAt(view: DataView, offset: number, width: 1 | 2 | 4): number | null {
  if (offset + width > view.byteLength) return null;
  if (width === 1) return view.getUint8(offset);
  return width === 2 ? view.getUint16(offset) : view.getUint32(offset);
}

/** Values whose length is part of the first byte. */
function shortHead(first: number): Head | null {
  if (first <= 0x7f || first >= 0xe0) return { bytes: 1, children: 0 };
  if (first <= 0x8f) return { bytes: 1, children: (first & 0x0f) * 2 };
  if (first <= 0x9f) return { bytes: 1, children: first & 0x0f };
  if (first <= 0xbf) return { bytes: 1 + (first & 0x1f), children: 0 };
  return null;
}

/** Null: the header is cut off, or of a type that is not allowed (extensions). */
function headAt(view: DataView, offset: number): Head | null {
  const first = view.getUint8(offset);
  const short = shortHead(first);
  if (short !== null) return short;
  const fixed = FIXED_BYTES[first];
  if (fixed !== undefined) return { bytes: fixed, children: 0 };
  const width = BYTES_WIDTH[first];
  if (width !== undefined) {
    const length = lengthAt(view, offset + 1, width);
    return length === null ? null : { bytes: 1 + width + length, children: 0 };
  }
  const items = ITEMS_WIDTH[first];
  if (items === undefined) return null;
  const length = lengthAt(view, offset + 1, items.width);
  return length === null ? null : { bytes: 1 + items.width, children: length * items.each };
}

/**
 * Checks that the bytes are exactly one whole value, nested at most `maxDepth` containers deep.
 * The outermost map or array counts as 1.
 */
export function refuseShape(bytes: Uint8Array, maxDepth: number): ShapeRefusal {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  /** How many values are still to come in each open container, outermost first. */
  const open: number[] = [];
  let offset = 0;
  do {
    if (offset >= bytes.byteLength) return `it ends after ${offset} bytes, inside a value`;
    const head = headAt(view, offset);
    if (head === null) return `byte ${offset} does not begin a value that is allowed here`;
    const left = bytes.byteLength - offset - head.bytes;
    // A child takes at least one byte, so a larger count is a lie about what follows.
    if (head.children > left || left < 0) return `the value at byte ${offset} claims too much`;
    offset += head.bytes;
    closeValue(open);
    if (head.children > 0) open.push(head.children);
    if (open.length > maxDepth) return `it is nested deeper than ${maxDepth}`;
    while (open.at(-1) === 0) open.pop();
  } while (open.length > 0);
  return offset === bytes.byteLength ? null : `${bytes.byteLength - offset} bytes follow its end`;
}

function closeValue(open: number[]): void {
  const last = open.length - 1;
  const left = open[last];
  if (left !== undefined) open[last] = left - 1;
}
