/** What the operator's commands must know of the ledger's records. Pure. */
import { decodeRecord, encodeFloor } from "./claim-record.ts";

/** A record after which every command of the run issued until `nowMs` is stale. */
export const ledgerFloor: (runId: string, nowMs: number) => Uint8Array = encodeFloor;

/** A record of the ledger as a person reads it. @throws {FRAME_MALFORMED} */
export function describeClaim(payload: Uint8Array) {
  const record = decodeRecord(payload);
  const { kind, floorMs } = record;
  if (kind === "floor") return { kind, id: record.runId, fields: { floorMs } };
  const { commandId: id, issuedAtMs, attempt } = record;
  return { kind, id, fields: { issuedAtMs, floorMs, ...(attempt === "" ? {} : { attempt }) } };
}
