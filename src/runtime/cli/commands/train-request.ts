/**
 * From flags to a request: decides what kind the data is, and refuses flags that contradict each
 * other or the run that is to be resumed. Reads at most the first bytes of a data file.
 */
import { extname } from "node:path";
import { EsperError } from "../../../protocols/errors.ts";
import type { RunRequest } from "../../../protocols/run.ts";
import type { CliDeps, ResumeRequest } from "../deps.ts";
import type { TrainValues } from "../options.ts";

type Explicit = ReadonlySet<string>;
type Data = RunRequest["data"];

/** A refusal of flags that do not go together. */
function conflict(message: string, flags: readonly string[]): EsperError {
  return new EsperError("USAGE", message, { flags });
}

/**
 * The request of a new run.
 * @throws {USAGE} for contradicting flags. @throws {DATA_INVALID} for a file of no known kind.
 */
export async function freshRequest(
  values: TrainValues,
  explicit: Explicit,
  chosen: { readonly topology: string; readonly runsDirectory: string },
  files: CliDeps["files"],
): Promise<RunRequest> {
  if (values.salvage) {
    throw conflict("--salvage needs --resume <run>: a new run has no log to salvage", [
      "--salvage",
    ]);
  }
  if (!values.growth && explicit.has("arm")) {
    throw conflict("--no-growth and --arm contradict each other: no arm grows then", [
      "--no-growth",
      "--arm",
    ]);
  }
  return {
    topology: chosen.topology,
    runsDirectory: chosen.runsDirectory,
    seed: values.seed,
    data: await chooseData(values, explicit, files),
    validationShare: values.validationShare,
    host: values.host,
    epochs: values.epochs,
    batchSize: values.batchSize,
    optimizer: values.optimizer,
    learningRate: values.learningRate,
    weightDecay: values.weightDecay,
    targetScore: values.targetScore,
    growth: values.growth,
    arm: values.arm,
    faults: values.fault,
  };
}

// A flag that would have no effect is refused: the person believes that it has one.
async function chooseData(
  values: TrainValues,
  explicit: Explicit,
  files: CliDeps["files"],
): Promise<Data> {
  if (values.data.length === 0) {
    for (const flag of ["target", "labels"] as const) {
      if (explicit.has(flag)) throw conflict(`--${flag} needs --data <file>`, [`--${flag}`]);
    }
    if (explicit.has("validationShare")) {
      throw conflict(
        "--validation-share is for --data; the built-in data sets have their own validation part",
        ["--validation-share"],
      );
    }
    return { kind: "builtin", name: values.dataset };
  }
  if (explicit.has("dataset")) {
    throw conflict("--dataset and --data contradict each other: give one of them", [
      "--dataset",
      "--data",
    ]);
  }
  return dataOfFiles(values, files);
}

async function dataOfFiles(values: TrainValues, files: CliDeps["files"]): Promise<Data> {
  const kinds = new Set<"csv" | "idx" | "cifar10">();
  for (const file of values.data) kinds.add(await kindOfFile(file, files));
  if (kinds.size > 1) {
    throw conflict(`--data: the files are of different kinds (${[...kinds].join(", ")})`, [
      "--data",
    ]);
  }
  if (kinds.has("cifar10")) return cifar(values);
  const [file = "", ...more] = values.data;
  if (more.length > 0) {
    throw conflict("--data: several files are understood only for CIFAR-10; give one", ["--data"]);
  }
  return kinds.has("csv") ? csv(file, values) : idx(file, values);
}

function cifar(values: TrainValues): Data {
  if (values.target !== null) throw holdsItsLabels("--target");
  if (values.labels !== null) throw holdsItsLabels("--labels");
  return { kind: "cifar10", files: values.data };
}

function holdsItsLabels(flag: string): EsperError {
  const message = `${flag} does not apply: CIFAR-10 files hold their labels themselves`;
  return conflict(message, [flag]);
}

function csv(file: string, values: TrainValues): Data {
  if (values.labels !== null) {
    throw conflict("--labels is for IDX images; a CSV has its --target column", ["--labels"]);
  }
  if (values.target === null) {
    throw conflict(`--data ${file} needs --target <column>: the column to predict`, ["--target"]);
  }
  return { kind: "csv", file, target: values.target };
}

function idx(images: string, values: TrainValues): Data {
  if (values.target !== null) {
    throw conflict("--target is for CSV; IDX images have their labels in --labels <file>", [
      "--target",
    ]);
  }
  if (values.labels === null) {
    throw conflict(`--data ${images} needs --labels <file>: the IDX file of labels`, ["--labels"]);
  }
  return { kind: "idx", images, labels: values.labels };
}

/** CSV and CIFAR-10 go by their extension; everything else must begin like IDX or gzip. */
async function kindOfFile(
  path: string,
  files: CliDeps["files"],
): Promise<"csv" | "idx" | "cifar10"> {
  const extension = extname(path).toLowerCase();
  if (extension === ".csv") return "csv";
  if (extension === ".bin") return "cifar10";
  const head = await readHead(path, files);
  const gzip = head[0] === 0x1f && head[1] === 0x8b;
  const idxMagic = head[0] === 0 && head[1] === 0 && head[2] === 8;
  if (gzip || idxMagic) return "idx";
  throw new EsperError(
    "DATA_INVALID",
    `--data: ${path} is of no known kind; allowed: CSV (.csv), IDX images (plain or gzip), ` +
      "CIFAR-10 (.bin)",
    { path, head: [...head] },
  );
}

/** The first four bytes: the magic number of IDX, and of gzip in the first two. */
async function readHead(path: string, files: CliDeps["files"]): Promise<Uint8Array> {
  try {
    const file = await files.open(path, "read");
    try {
      return await file.read(0, 4);
    } finally {
      await file.close();
    }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new EsperError("DATA_INVALID", `--data: ${path} cannot be read: ${why}`, { path }, cause);
  }
}

/** Flags by which a run is defined, as they are written and as the stored request holds them. */
const DEFINING: Readonly<
  Record<string, { readonly flag: string; readonly stored: (request: RunRequest) => unknown }>
> = {
  dataset: {
    flag: "--dataset",
    stored: ({ data }) => (data.kind === "builtin" ? data.name : data.kind),
  },
  data: { flag: "--data", stored: ({ data }) => storedFiles(data) },
  target: { flag: "--target", stored: ({ data }) => (data.kind === "csv" ? data.target : null) },
  labels: { flag: "--labels", stored: ({ data }) => (data.kind === "idx" ? data.labels : null) },
  validationShare: { flag: "--validation-share", stored: (request) => request.validationShare },
  seed: { flag: "--seed", stored: (request) => request.seed },
  epochs: { flag: "--epochs", stored: (request) => request.epochs },
  batchSize: { flag: "--batch-size", stored: (request) => request.batchSize },
  host: { flag: "--host", stored: (request) => request.host },
  optimizer: { flag: "--optimizer", stored: (request) => request.optimizer },
  learningRate: { flag: "--learning-rate", stored: (request) => request.learningRate },
  weightDecay: { flag: "--weight-decay", stored: (request) => request.weightDecay },
  targetScore: { flag: "--target-score", stored: (request) => request.targetScore },
  growth: { flag: "--no-growth", stored: (request) => request.growth },
  arm: { flag: "--arm", stored: (request) => request.arm },
};

/** The files as --data would name them. */
function storedFiles(data: Data): readonly string[] {
  switch (data.kind) {
    case "csv":
      return [data.file];
    case "idx":
      return [data.images];
    case "cifar10":
      return data.files;
    default:
      return [];
  }
}

/**
 * The request to continue a run. A resumed run keeps what it was started with.
 * @throws {USAGE} for a flag that differs from the stored one.
 */
export function resumeRequest(
  values: TrainValues & { readonly resume: string },
  explicit: Explicit,
  stored: RunRequest,
  chosen: { readonly topology: string; readonly runsDirectory: string },
): ResumeRequest {
  for (const [key, { flag, stored: read }] of Object.entries(DEFINING)) {
    if (!explicit.has(key)) continue;
    // Compared as text, because hosts and lists of files are equal by content.
    const given = JSON.stringify(Reflect.get(values, key));
    const kept = JSON.stringify(read(stored));
    if (given === kept) continue;
    throw conflict(
      `${flag}: given ${given}, but the run was started with ${kept}, ` +
        `and a resumed run keeps it. Leave ${flag} out, or start a new run without --resume.`,
      [flag, "--resume"],
    );
  }
  return {
    resume: { runsDirectory: chosen.runsDirectory, run: values.resume },
    salvage: values.salvage,
    topology: chosen.topology,
    faults: values.fault,
  };
}
