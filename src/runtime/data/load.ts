/**
 * The one door through which data enters a run: from a request to a data set in shared memory, or
 * to a refusal that says what to change. Reads the user's files once; never writes.
 */
import type { BuiltinDataset, Dataset, DatasetRequest } from "../../protocols/dataset.ts";
import { makeDigits } from "./builtin/digits.ts";
import { makeParity } from "./builtin/parity.ts";
import { makeRings } from "./builtin/rings.ts";
import { makeSpirals } from "./builtin/spirals.ts";
import { loadCsv } from "./csv/load-csv.ts";
import { loadCifar, loadIdx } from "./images/load-images.ts";
import { normalisationNote } from "./normalisation.ts";
import type { LoadOptions } from "./source.ts";

const BUILTIN: Readonly<Record<BuiltinDataset, (seed: number) => Dataset>> = {
  spirals: makeSpirals,
  parity: () => makeParity("parity", 8),
  rings: makeRings,
  digits: makeDigits,
  parity4: () => makeParity("parity4", 4),
  parity5: () => makeParity("parity5", 5),
  parity6: () => makeParity("parity6", 6),
  parity7: () => makeParity("parity7", 7),
  parity9: () => makeParity("parity9", 9),
  parity10: () => makeParity("parity10", 10),
};

async function load(request: DatasetRequest, options: LoadOptions): Promise<Dataset> {
  switch (request.kind) {
    case "builtin":
      return BUILTIN[request.name](request.seed);
    case "csv":
      return loadCsv(request, options);
    case "idx":
      return loadIdx(request, options);
    case "cifar10":
      return loadCifar(request, options);
  }
}

/**
 * Loads what was asked for. The same request on the same files gives the same digest.
 * @throws {DATA_INVALID} @throws {DATA_TOO_LARGE} @throws {USAGE} for the validation share.
 */
export async function loadDataset(request: DatasetRequest, options: LoadOptions): Promise<Dataset> {
  const dataset = await load(request, options);
  const notes = [...dataset.report.notes, normalisationNote(dataset)];
  return { ...dataset, report: { ...dataset.report, notes } };
}
