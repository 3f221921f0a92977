/**
 * The IDX format (MNIST): two zero bytes, a type, the number of dimensions, each extent as a
 * big-endian 32-bit number, then the values. Only unsigned bytes are read. The length must agree
 * with the header exactly; nothing is padded or cut.
 */
import { assertWithinBudget, tooLarge } from "../budget.ts";
import { invalidData } from "../refuse.ts";
import { checkSource, type LoadOptions, readHead, readSource } from "../source.ts";
import { inflate, isGzip } from "./inflate.ts";
import { assertImagesFit, type Images, imageSize } from "./pixels.ts";

const UNSIGNED_BYTE = 0x08;
const MAX_DIMENSIONS = 4;
const MAX_HEADER_BYTES = 4 + 4 * MAX_DIMENSIONS;
const MAX_CHANNELS = 4;

const TYPE_NAMES: Readonly<Record<number, string>> = {
  9: "signed bytes",
  11: "16-bit integers",
  12: "32-bit integers",
  13: "32-bit floats",
  14: "64-bit floats",
};

interface Header {
  readonly extents: readonly number[];
  readonly bytes: number;
}

/**
 * Images [count, height, width] or [count, height, width, channels].
 * @throws {DATA_INVALID} @throws {DATA_TOO_LARGE} before the pixels are read.
 */
export async function readIdxImages(path: string, options: LoadOptions): Promise<Images> {
  const wants = "images: 3 dimensions, or 4 with the channels last";
  const { header, values } = await readIdx(path, [3, 4], wants, options);
  const [count = 0, height = 0, width = 0, channels = 1] = header.extents;
  if (channels > MAX_CHANNELS) {
    throw invalidData(
      path,
      `the dimensions are ${header.extents.join(" x ")}; the last must be 1 to ${MAX_CHANNELS} ` +
        "channels, as in count x height x width x channels",
    );
  }
  return { path, count, shape: [height, width, channels], pixels: values };
}

/** One label byte per image. @throws {DATA_INVALID} @throws {DATA_TOO_LARGE} */
export async function readIdxLabels(path: string, options: LoadOptions): Promise<Uint8Array> {
  return (await readIdx(path, [1], "labels: 1 dimension", options)).values;
}

async function readIdx(
  path: string,
  dimensions: readonly number[],
  wants: string,
  options: LoadOptions,
): Promise<{ readonly header: Header; readonly values: Uint8Array }> {
  const size = await checkSource(path, options);
  const head = await readHead(path, MAX_HEADER_BYTES, options);
  // The header of a plain file is enough to refuse it before its pixels are read.
  if (!isGzip(head)) checkBody(path, parseHeader(path, head, dimensions, wants), size, options);
  const raw = await readSource(path, options);
  const bytes = isGzip(raw) ? await inflate(path, raw, options.budgetBytes) : raw;
  const header = parseHeader(path, bytes, dimensions, wants);
  checkBody(path, header, bytes.byteLength, options);
  return { header, values: bytes.subarray(header.bytes) };
}

function parseHeader(
  path: string,
  bytes: Uint8Array,
  dimensions: readonly number[],
  wants: string,
): Header {
  const [zero, alsoZero, type = 0, rank = 0] = bytes;
  if (bytes.byteLength < 4 || zero !== 0 || alsoZero !== 0) {
    const found = [...bytes.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, "0"));
    throw invalidData(
      path,
      `this is not an IDX file: it starts with ${found.join(" ")}, expected 00 00 08`,
    );
  }
  if (type !== UNSIGNED_BYTE) {
    const name = TYPE_NAMES[type] ?? `type ${type}`;
    throw invalidData(path, `the values are ${name}; allowed: unsigned bytes (type 8)`);
  }
  if (!dimensions.includes(rank)) {
    throw invalidData(path, `the file has ${rank} dimensions; expected ${wants}`, { rank });
  }
  const headerBytes = 4 + 4 * rank;
  if (bytes.byteLength < headerBytes) {
    throw invalidData(
      path,
      `the header is cut short: ${bytes.byteLength} bytes found, ${headerBytes} expected`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const extents = Array.from({ length: rank }, (_, at) => view.getUint32(4 + 4 * at));
  if (extents.includes(0)) {
    throw invalidData(path, `the dimensions are ${extents.join(" x ")}; none may be 0`);
  }
  return { extents, bytes: headerBytes };
}

function checkBody(path: string, header: Header, foundBytes: number, options: LoadOptions): void {
  const { extents } = header;
  const expected = header.bytes + imageSize(extents);
  const shape = extents.join(" x ");
  if (!Number.isSafeInteger(expected)) {
    throw tooLarge(path, `the header announces ${shape} bytes`, null, options.budgetBytes);
  }
  assertWithinBudget(
    path,
    `the header announces ${shape} bytes, which`,
    expected,
    options.budgetBytes,
  );
  if (foundBytes !== expected) {
    const how = foundBytes < expected ? "cut short" : "longer than its header says";
    throw invalidData(
      path,
      `the file is ${how}: ${foundBytes} bytes found, ${expected} expected for ${shape}; ` +
        "fetch it again",
      { found: foundBytes, expected },
    );
  }
  const [count = 0, ...shapeOfOne] = extents;
  if (extents.length > 1) assertImagesFit(path, count, shapeOfOne, options.budgetBytes);
}
