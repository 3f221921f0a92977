/** Decisions that missed their deadline, as `metrics.jsonl` remembers them, for an equal replay. */
import { z } from "zod";
import { type Files, readTextIfPresent } from "../durable/files.ts";

const missSchema = z.object({ kind: z.literal("decision_miss"), step: z.int() });

function missOf(line: string): number | null {
  if (!line.includes('"decision_miss"')) return null;
  try {
    return missSchema.parse(JSON.parse(line)).step;
  } catch {
    // A torn last line: Nissa cuts it off when it opens the file.
    return null;
  }
}

/** Steps at which a decision was asked and never came; empty when there are no metrics yet. */
export async function readMisses(files: Files, path: string): Promise<readonly number[]> {
  const text = await readTextIfPresent(files, path);
  return (text ?? "")
    .split("\n")
    .map(missOf)
    .filter((step) => step !== null);
}
