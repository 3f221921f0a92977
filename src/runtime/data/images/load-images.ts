/** IDX and CIFAR-10 files to a data set: read, check labels, split by class, scale, encode. */
import { basename } from "node:path";
import type { Dataset, DatasetRequest, Samples } from "../../../protocols/dataset.ts";
import { classBalance } from "../balance.ts";
import { digestDataset } from "../digest.ts";
import { invalidData, quoted } from "../refuse.ts";
import type { LoadOptions } from "../source.ts";
import { checkShare, splitRows } from "../split.ts";
import { CIFAR_CLASSES, readCifar } from "./cifar10.ts";
import { readIdxImages, readIdxLabels } from "./idx.ts";
import { encodeImages, fitGrid, type Images, imageSize, type LabelledImages } from "./pixels.ts";

type IdxRequest = Extract<DatasetRequest, { kind: "idx" }>;
type CifarRequest = Extract<DatasetRequest, { kind: "cifar10" }>;

/** @throws {DATA_INVALID} @throws {DATA_TOO_LARGE} @throws {USAGE} for the validation share. */
export async function loadIdx(request: IdxRequest, options: LoadOptions): Promise<Dataset> {
  checkShare(request.validationShare);
  const images = await readLabelledIdx(request.images, request.labels, options);
  const values = [...new Set(images.labels)].sort((left, right) => left - right);
  return buildDataset(images, {
    ...request,
    name: basename(request.images).replace(/\.gz$/i, ""),
    values,
    classes: values.map(String),
  });
}

/** @throws {DATA_INVALID} @throws {DATA_TOO_LARGE} @throws {USAGE} for the validation share. */
export async function loadCifar(request: CifarRequest, options: LoadOptions): Promise<Dataset> {
  checkShare(request.validationShare);
  const images = await readCifar(request.files, options);
  return buildDataset(images, {
    ...request,
    name: "cifar10",
    values: [...CIFAR_CLASSES.keys()],
    classes: CIFAR_CLASSES,
  });
}

/** @throws {DATA_INVALID} when the two files do not hold the same number of images. */
export async function readLabelledIdx(
  imagesPath: string,
  labelsPath: string,
  options: LoadOptions,
): Promise<LabelledImages> {
  const labels = await readIdxLabels(labelsPath, options);
  const images = await readIdxImages(imagesPath, options);
  if (labels.length === images.count) return { ...images, labels };
  throw invalidData(
    labelsPath,
    `${labels.length} labels for ${images.count} images in ${imagesPath}; the two files do not ` +
      "belong together",
    { labels: labels.length, images: images.count },
  );
}

interface Plan {
  readonly name: string;
  readonly validationShare: number;
  readonly seed: number;
  /** The label bytes in the order of `classes`. */
  readonly values: readonly number[];
  readonly classes: readonly string[];
}

function buildDataset(images: LabelledImages, plan: Plan): Dataset {
  const places = new Map(plan.values.map((value, at) => [value, at]));
  const classOf = (row: number) => places.get(images.labels[row] ?? -1) ?? 0;
  const groups = Array.from({ length: images.count }, (_, row) => classOf(row));
  refuseSingleClass(images, new Set(groups), plan);
  const split = splitRows(groups, plan);
  if (split.validation.length === 0) {
    throw invalidData(images.path, "every class has one image, so none is left for validation");
  }
  const input = fitGrid(images, split.train);
  const encode = (rows: readonly number[]): Samples => encodeImages(images, rows, input, classOf);
  const content = {
    task: "classification",
    inputShape: images.shape,
    train: encode(split.train),
    validation: encode(split.validation),
    test: null,
    input,
    target: { kind: "classes", name: "label", classes: plan.classes },
  } as const;
  const balance = classBalance(plan.classes, groups);
  return {
    ...content,
    name: plan.name,
    report: {
      source: images.path,
      rows: images.count,
      features: imageSize(images.shape),
      dropped: {},
      filled: {},
      classBalance: balance,
      notes: Object.keys(balance)
        .filter((name) => balance[name] === 0)
        .map((name) => `class ${quoted(name)} has no image`),
    },
    digest: digestDataset(content),
  };
}

function refuseSingleClass(images: Images, present: ReadonlySet<number>, plan: Plan): void {
  if (present.size > 1) return;
  const only = plan.classes[[...present][0] ?? 0] ?? "";
  throw invalidData(
    images.path,
    `all ${images.count} images have the label ${quoted(only)}; there is nothing to learn`,
  );
}
