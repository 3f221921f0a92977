/** Fills a window with the claims of its log, and refuses the log of another run. */
import { EsperError } from "../../protocols/errors.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { Wal } from "../../runtime/durable/wal.ts";
import { RecentAttempts } from "./attempts.ts";
import { decodeRecord } from "./claim-record.ts";
import type { NonceWindow } from "./nonce-window.ts";

export interface ReplayOptions {
  readonly directory: string;
  readonly runId: string;
  readonly clock: Pick<Clock, "nowMs">;
}

export interface Replayed {
  readonly attempts: RecentAttempts;
  /** True when the log says itself from when on it can be trusted. */
  readonly hasFloor: boolean;
}

/** @throws {WAL_FOREIGN} @throws {WAL_CORRUPT} @throws {FRAME_MALFORMED} */
export async function replayClaims(
  wal: Wal,
  window: NonceWindow,
  { directory, runId, clock }: ReplayOptions,
): Promise<Replayed> {
  let hasFloor = false;
  const attempts = new RecentAttempts();
  const prefix = `${runId}/`;
  const nowMs = clock.nowMs();
  for await (const { sequence, timeMs, payload } of wal.read()) {
    const record = decodeRecord(payload);
    window.raiseFloor(record.floorMs);
    if (record.kind === "floor") {
      if (record.runId !== runId) throw foreign(directory, sequence, runId, record.runId);
      hasFloor = true;
      continue;
    }
    const { commandId, issuedAtMs, attempt } = record;
    if (!commandId.startsWith(prefix)) throw foreign(directory, sequence, runId, commandId);
    window.restore({ commandId, issuedAtMs, claimedAtMs: timeMs }, nowMs);
    attempts.add(commandId, attempt);
  }
  return { attempts, hasFloor };
}

function foreign(directory: string, sequence: number, runId: string, found: string): EsperError {
  const expected = `${runId}/...`;
  return new EsperError(
    "WAL_FOREIGN",
    `the nonce ledger in ${directory} belongs to another run: record ${sequence} is of ` +
      `${found}, expected ${expected}. Put this run's own ledger back; nothing was changed`,
    { file: directory, sequence, expected, found },
  );
}
