/** The common end of the built-in data sets: standardise by training rows, encode, report. */
import type { Dataset, InputEncoding, Samples } from "../../../protocols/dataset.ts";
import { classBalance } from "../balance.ts";
import { digestDataset } from "../digest.ts";
import { buildSamples } from "../memory.ts";
import { measureMoments } from "../statistics.ts";

/** One case: raw feature values and the index of its class. */
export interface LabelledPoint {
  readonly values: readonly number[];
  readonly label: number;
}

/** A data set made of points in a plane or a cube, before scaling. */
export interface PointSet {
  readonly name: string;
  readonly columns: readonly string[];
  readonly targetName: string;
  readonly classes: readonly string[];
  readonly train: readonly LabelledPoint[];
  readonly validation: readonly LabelledPoint[];
  readonly test: readonly LabelledPoint[] | null;
  readonly notes: readonly string[];
  /** False when the values already are what the network should see. */
  readonly standardise: boolean;
}

/** Encodes the points; scales by the training points' mean and deviation when asked to. */
export function assemblePoints(set: PointSet): Dataset {
  const columns = set.columns.map((name, at) => {
    if (!set.standardise) return { kind: "numeric", name, mean: 0, scale: 1 } as const;
    const moments = measureMoments(set.train.map((point) => point.values[at] ?? 0));
    return { kind: "numeric", name, mean: moments.mean, scale: moments.deviation } as const;
  });
  const encode = (points: readonly LabelledPoint[]): Samples =>
    buildSamples(points.length, columns.length, (row, x) => {
      const point = points[row];
      for (const [at, { mean, scale }] of columns.entries()) {
        x[at] = ((point?.values[at] ?? 0) - mean) / scale;
      }
      return point?.label ?? 0;
    });
  return finishBuiltin({
    name: set.name,
    inputShape: [columns.length],
    train: encode(set.train),
    validation: encode(set.validation),
    test: set.test === null ? null : encode(set.test),
    input: { kind: "table", columns },
    targetName: set.targetName,
    classes: set.classes,
    notes: set.notes,
  });
}

/** What a built-in data set is before report and digest are added. */
export interface EncodedSet {
  readonly name: string;
  readonly inputShape: readonly number[];
  readonly train: Samples;
  readonly validation: Samples;
  readonly test: Samples | null;
  readonly input: InputEncoding;
  readonly targetName: string;
  readonly classes: readonly string[];
  readonly notes: readonly string[];
}

/** Adds report and digest to parts that are already encoded. */
export function finishBuiltin(set: EncodedSet): Dataset {
  const { name, inputShape, train, validation, test, input, classes, notes } = set;
  const content = {
    task: "classification",
    inputShape,
    train,
    validation,
    test,
    input,
    target: { kind: "classes", name: set.targetName, classes },
  } as const;
  const labels = [train, validation, test].flatMap((part) => [...(part?.y ?? [])]);
  return {
    ...content,
    name,
    report: {
      source: `built-in: ${name}`,
      rows: labels.length,
      features: inputShape.reduce((product, extent) => product * extent, 1),
      dropped: {},
      filled: {},
      classBalance: classBalance(classes, labels),
      notes,
    },
    digest: digestDataset(content),
  };
}
