/** One claim as the ledger's log stores it: floor f64, issue time f64, command id in UTF-8. */
import { EsperError } from "../../protocols/errors.ts";

export interface ClaimRecord {
  readonly commandId: string;
  readonly issuedAtMs: number;
  /** The ledger's floor when the claim was made: outlives the segments it came from. */
  readonly floorMs: number;
}

const FIXED_BYTES = 16;

export function encodeClaim(claim: ClaimRecord): Uint8Array {
  const id = new TextEncoder().encode(claim.commandId);
  const bytes = new Uint8Array(FIXED_BYTES + id.byteLength);
  const view = new DataView(bytes.buffer);
  view.setFloat64(0, claim.floorMs, true);
  view.setFloat64(8, claim.issuedAtMs, true);
  bytes.set(id, FIXED_BYTES);
  return bytes;
}

/** The inverse of `encodeClaim`. @throws {FRAME_MALFORMED} */
export function decodeClaim(bytes: Uint8Array): ClaimRecord {
  if (bytes.byteLength <= FIXED_BYTES) {
    throw new EsperError("FRAME_MALFORMED", "a claim in the nonce ledger's log is too short", {
      bytes: bytes.byteLength,
    });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    floorMs: view.getFloat64(0, true),
    issuedAtMs: view.getFloat64(8, true),
    commandId: new TextDecoder().decode(bytes.subarray(FIXED_BYTES)),
  };
}
