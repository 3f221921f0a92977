/** How a record of the write-ahead log carries its id: u16 length, id in UTF-8, then the bytes. */
import { EsperError } from "../../protocols/errors.ts";

export interface IdentifiedRecord {
  readonly recordId: string;
  readonly bytes: Uint8Array;
}

const MAX_ID_BYTES = 1_024;
const LENGTH_BYTES = 2;

/** @throws {FRAME_MALFORMED} when the id is empty or longer than 1,024 bytes. */
export function encodeRecord(record: IdentifiedRecord): Uint8Array {
  const id = new TextEncoder().encode(record.recordId);
  if (id.byteLength === 0 || id.byteLength > MAX_ID_BYTES) {
    throw new EsperError(
      "FRAME_MALFORMED",
      `a record id of ${id.byteLength} bytes is not allowed: give 1 to ${MAX_ID_BYTES}`,
      { bytes: id.byteLength, allowed: MAX_ID_BYTES },
    );
  }
  const payload = new Uint8Array(LENGTH_BYTES + id.byteLength + record.bytes.byteLength);
  new DataView(payload.buffer).setUint16(0, id.byteLength, true);
  payload.set(id, LENGTH_BYTES);
  payload.set(record.bytes, LENGTH_BYTES + id.byteLength);
  return payload;
}

/** The inverse of `encodeRecord`. @throws {FRAME_MALFORMED} */
export function decodeRecord(payload: Uint8Array): IdentifiedRecord {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const length = payload.byteLength < LENGTH_BYTES ? 0 : view.getUint16(0, true);
  const end = LENGTH_BYTES + length;
  if (length === 0 || end > payload.byteLength) {
    throw new EsperError("FRAME_MALFORMED", "a log record does not begin with its id", {
      bytes: payload.byteLength,
    });
  }
  const recordId = new TextDecoder().decode(payload.subarray(LENGTH_BYTES, end));
  return { recordId, bytes: new Uint8Array(payload.subarray(end)) };
}
