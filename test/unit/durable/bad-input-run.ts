/** What a run of the corpus was asked to do. */
import type { NewRun } from "../../../src/runtime/run/run-dir.ts";

export function runRequest(runsDirectory: string): Omit<NewRun, "files" | "clock"> {
  return {
    request: {
      ...{ topology: "local-cpu", seed: 42, runsDirectory, validationShare: 0.2 },
      ...{ data: { kind: "csv", file: "a.csv", target: "y" }, host: null, epochs: 3 },
      ...{ batchSize: null, optimizer: null, learningRate: null, weightDecay: null },
      ...{ targetScore: null, growth: true, arm: "policy", faults: [] },
    },
    dataset: {
      name: "points",
      digest: "d1",
      report: {
        ...{ source: "a.csv", rows: 3, features: 2, dropped: {}, filled: {} },
        ...{ classBalance: null, notes: [] },
      },
    },
    options: {},
    versions: { node: "v20", product: "0.1.0" },
    generatedSecret: "a-secret-of-this-run-alone-1234567890",
  };
}
