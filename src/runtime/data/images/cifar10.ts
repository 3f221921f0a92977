/**
 * The binary version of CIFAR-10: records of one label byte and 3,072 pixel bytes, the red plane
 * before the green and the blue. The planes are rearranged so that the channels come last.
 */
import { EsperError } from "../../../protocols/errors.ts";
import { assertWithinBudget } from "../budget.ts";
import { invalidData } from "../refuse.ts";
import { checkSource, type LoadOptions, readSource } from "../source.ts";
import { assertImagesFit, type LabelledImages } from "./pixels.ts";

/** Height, width, channels. */
export const CIFAR_SHAPE = [32, 32, 3] as const;
/** In the order of the labels (Krizhevsky 2009). */
export const CIFAR_CLASSES: readonly string[] = [
  "airplane",
  "automobile",
  "bird",
  "cat",
  "deer",
  "dog",
  "frog",
  "horse",
  "ship",
  "truck",
];

const PLANE = 1_024;
const CHANNELS = 3;
const IMAGE_BYTES = PLANE * CHANNELS;
const RECORD_BYTES = 1 + IMAGE_BYTES;

/**
 * All files, one after the other.
 * @throws {DATA_INVALID} @throws {DATA_TOO_LARGE} before any of them is read. @throws {USAGE}
 */
export async function readCifar(
  paths: readonly string[],
  options: LoadOptions,
): Promise<LabelledImages> {
  const [first] = paths;
  if (first === undefined) {
    throw new EsperError("USAGE", "no CIFAR-10 file is given; name at least one .bin file");
  }
  const count = await countRecords(paths, options);
  const pixels = new Uint8Array(count * IMAGE_BYTES);
  const labels = new Uint8Array(count);
  let done = 0;
  for (const path of paths) {
    const bytes = await readSource(path, options);
    const records = recordsIn(path, bytes.byteLength);
    for (let record = 0; record < records; record++) {
      const image = bytes.subarray(record * RECORD_BYTES, (record + 1) * RECORD_BYTES);
      labels[done + record] = checkLabel(path, record, image[0] ?? 0);
      interleave(image.subarray(1), pixels.subarray((done + record) * IMAGE_BYTES));
    }
    done += records;
  }
  if (done !== count) throw invalidData(first, "a file changed its length while it was read");
  return { path: paths.join(", "), count, shape: CIFAR_SHAPE, pixels, labels };
}

async function countRecords(paths: readonly string[], options: LoadOptions): Promise<number> {
  let count = 0;
  for (const path of paths) {
    count += recordsIn(path, await checkSource(path, options));
    assertImagesFit(path, count, CIFAR_SHAPE, options.budgetBytes);
    assertWithinBudget(path, "the files together", count * RECORD_BYTES, options.budgetBytes);
  }
  return count;
}

function recordsIn(path: string, bytes: number): number {
  if (bytes % RECORD_BYTES === 0) return bytes / RECORD_BYTES;
  throw invalidData(
    path,
    `${bytes} bytes are not a whole number of CIFAR-10 records of ${RECORD_BYTES} bytes: ` +
      `${bytes % RECORD_BYTES} bytes are left over; fetch the binary version again`,
    { found: bytes, recordBytes: RECORD_BYTES },
  );
}

function checkLabel(path: string, record: number, label: number): number {
  if (label < CIFAR_CLASSES.length) return label;
  throw invalidData(
    path,
    `record ${record + 1}: label ${label} is not allowed; CIFAR-10 labels are 0 to 9`,
    { record: record + 1, label },
  );
}

/** Planes [3, 32, 32] to pixels [32, 32, 3]. */
function interleave(planes: Uint8Array, pixels: Uint8Array): void {
  for (let channel = 0; channel < CHANNELS; channel++) {
    for (let at = 0; at < PLANE; at++) {
      pixels[at * CHANNELS + channel] = planes[channel * PLANE + at] ?? 0;
    }
  }
}
