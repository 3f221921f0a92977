/** Temporary data files and the loader options the tests share. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Dataset, DatasetRequest } from "../../../src/protocols/dataset.ts";
import { EsperError } from "../../../src/protocols/errors.ts";
import { loadDataset } from "../../../src/runtime/data/load.ts";
import { systemFiles } from "../../../src/runtime/durable/files.ts";

export const OPTIONS = { files: systemFiles, budgetBytes: 64 * 1_048_576 };

export type CsvRequest = Extract<DatasetRequest, { kind: "csv" }>;

/** A folder of its own, gone when the test ends. */
export async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "esper-data-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

export async function writeTemporary(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(await makeFolder(), name);
  await writeFile(path, content);
  return path;
}

/** Writes the text as a CSV file and loads it with the target "y". */
export async function loadText(text: string, wishes: Partial<CsvRequest> = {}): Promise<Dataset> {
  const file = await writeTemporary("table.csv", text);
  const request = { kind: "csv", file, target: "y", validationShare: 0.25, seed: 1 } as const;
  return loadDataset({ ...request, ...wishes }, OPTIONS);
}

/** The coded error a promise ends in. */
export async function refusalOf(work: Promise<unknown>): Promise<EsperError> {
  const error: unknown = await work.then(
    () => "nothing was refused",
    (thrown: unknown) => thrown,
  );
  if (!EsperError.is(error)) throw new Error(`not refused with a coded error: ${String(error)}`);
  return error;
}

/** An IDX file of unsigned bytes. */
export function idxBytes(extents: readonly number[], values: ArrayLike<number>): Uint8Array {
  const header = new DataView(new ArrayBuffer(4 + 4 * extents.length));
  header.setUint8(2, 8);
  header.setUint8(3, extents.length);
  for (const [at, extent] of extents.entries()) header.setUint32(4 + 4 * at, extent);
  return Uint8Array.from([...new Uint8Array(header.buffer), ...Array.from(values)]);
}
