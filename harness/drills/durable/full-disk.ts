/** A real disk that runs full, again and again, under the writer of a living system. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { outputOf } from "../../bench/runtime/side-process.ts";
import { quantile } from "../../lib/statistics.ts";
import type { Verdict } from "../../lib/verdict.ts";
import { findSmallDisk, type SmallDiskKind } from "./small-disk.ts";

const SIDE = fileURLToPath(new URL("./full-disk-side.js", import.meta.url));

const FullDiskFigures = z.object({
  cycles: z.number(),
  acknowledged: z.number(),
  /** Appends that were answered with WAL_FULL, and the codes of those answered otherwise. */
  refused: z.number(),
  otherCodes: z.array(z.string()),
  /** From the moment there is room again to the next acknowledgement, one value a cycle. */
  roomMs: z.array(z.number()),
  restarts: z.number(),
  degraded: z.number(),
  recovered: z.number(),
  lost: z.array(z.string()),
  phantom: z.array(z.string()),
  failures: z.array(z.string()),
});
/** What the cycles came to. */
export type FullDiskFigures = z.infer<typeof FullDiskFigures>;

export interface FullDiskRequest {
  readonly cycles: number;
  readonly seed: number;
  readonly directory: string;
  /** Null: a tmpfs where it may be mounted, else a limit on file sizes. */
  readonly only?: SmallDiskKind | null;
}

/** Fills the disk so many times; `disk` says what it was made of. */
export async function fillDisk(
  request: FullDiskRequest,
): Promise<{ readonly figures: FullDiskFigures; readonly disk: string }> {
  const directory = join(request.directory, "small");
  mkdirSync(directory, { recursive: true });
  const disk = findSmallDisk(directory, request.only ?? null);
  const args = [SIDE, directory, String(request.cycles), String(request.seed), disk.kind];
  const [command = "", ...rest] = disk.launch(directory, [process.execPath, ...args]);
  const out = await outputOf({ command, args: rest });
  const figures = FullDiskFigures.parse(JSON.parse(out.trimEnd().split("\n").at(-1) ?? ""));
  return { figures, disk: `${disk.kind}: ${disk.why}` };
}

/** One verdict a promise. */
export function fullDiskVerdicts(
  figures: FullDiskFigures,
  disk: string,
  wanted: number,
): Verdict[] {
  const { cycles, acknowledged, refused, otherCodes, roomMs, restarts, failures } = figures;
  const { degraded, recovered, lost, phantom } = figures;
  const other = otherCodes.length > 0 ? `, others: ${[...new Set(otherCodes)].join(", ")}` : "";
  return [
    {
      promise: `a full disk, ${wanted} times (${disk}): every refusal is WAL_FULL`,
      measured: `${cycles} times full, ${refused} refused${other}`,
      kept: cycles === wanted && refused >= wanted && otherCodes.length === 0,
    },
    {
      // A small append may find room between two that find none: then there are more spells.
      promise: "each time is told once when it begins and once when it ends, not at each refusal",
      measured: `${degraded} degraded, ${recovered} recovered, ${refused} refused`,
      kept: degraded >= wanted && recovered === degraded && degraded < refused / 2,
    },
    {
      promise: "with room again the next append succeeds, without a restart",
      measured:
        failures.length > 0
          ? failures.slice(0, 3).join("; ")
          : `${quantile(roomMs, 1).toFixed(1)} ms at most, ${restarts} restarts`,
      kept: failures.length === 0 && restarts === 0,
    },
    {
      promise: "0 acknowledged records lost, nothing of a refused one kept",
      measured: `${lost.length} lost, ${phantom.length} phantom, of ${acknowledged} acknowledged`,
      kept: lost.length === 0 && phantom.length === 0 && acknowledged > 0,
    },
  ];
}
