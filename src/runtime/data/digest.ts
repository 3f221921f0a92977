/** The identity of a data set: two runs with the same digest saw the same numbers. */
import { createHash, type Hash } from "node:crypto";
import type { Dataset, Samples } from "../../protocols/dataset.ts";
import { canonicalJson } from "../../protocols/leyline/artifact.ts";

/** SHA-256 in hex over task, shapes, encodings and every value; names and notes stay outside. */
export function digestDataset(data: Omit<Dataset, "digest" | "name" | "report">): string {
  const hash = createHash("sha256");
  const parts = [data.train, data.validation, data.test];
  hash.update(
    canonicalJson({
      task: data.task,
      inputShape: data.inputShape,
      counts: parts.map((part) => part?.count ?? null),
      input: data.input,
      target: data.target,
    }),
  );
  for (const part of parts) if (part !== null) hashSamples(hash, part);
  return hash.digest("hex");
}

function hashSamples(hash: Hash, samples: Samples): void {
  for (const values of [samples.x, samples.y]) {
    hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
}
