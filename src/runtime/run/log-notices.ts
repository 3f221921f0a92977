/**
 * What a salvage is about to cut off a run's logs, in words for the person at the terminal. Looks
 * only: the actors that own the logs do the cutting, and put it into the telemetry.
 */
import { join } from "node:path";
import { LOG_NAMES } from "../durable/backup-layout.ts";
import type { Files } from "../durable/files.ts";
import { damageOf, mustStay, verifyRunLog } from "../durable/log-inspect.ts";
import { lstatIfPresent } from "../durable/tree.ts";

/** One line for each log of which a part will be put aside. */
export async function salvageNotices(files: Files, directory: string): Promise<readonly string[]> {
  const notices: string[] = [];
  for (const name of LOG_NAMES) {
    const folder = join(directory, name);
    if ((await lstatIfPresent(files, folder)) === null) continue;
    const report = await verifyRunLog(files, folder, name, null);
    const [flaw] = damageOf([report]);
    // What must not be cut is refused by the log itself.
    if (flaw === undefined || mustStay(flaw)) continue;
    const { file, offset, why } = flaw;
    notices.push(
      `${file} is damaged at byte ${offset}: ${why}; the records before it are kept, ` +
        "the rest is put aside as *.broken",
    );
  }
  return notices;
}
