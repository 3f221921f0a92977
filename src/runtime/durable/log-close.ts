/**
 * Whether a log was closed in an orderly way. A log that is closed ends with a mark; one that ends
 * with a record was not, or has lost its end. Reads the last few bytes and changes nothing.
 */
import type { Files } from "./files.ts";
import { FRAME_HEADER_BYTES, FrameReader, LEAST_HEADER_BYTES } from "./frame.ts";
import { openPlain } from "./tree.ts";
import type { LogReport } from "./wal-verify.ts";

/** A mark has no payload, so it is as long as the header of one of the versions. */
const MARK_BYTES = [FRAME_HEADER_BYTES, LEAST_HEADER_BYTES] as const;

/** True when the good part of the log ends with a mark, or when there is none. */
export async function endsWithMark(files: Files, { segments }: LogReport): Promise<boolean> {
  const last = segments.findLast(({ bytes }) => bytes > 0);
  if (last === undefined) return true;
  const file = await openPlain(files, last.file);
  try {
    for (const size of MARK_BYTES) {
      if (size > last.bytes) continue;
      const bytes = await file.read(last.bytes - size, size);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const frame = new FrameReader();
      const state = frame.read({ bytes, view }, 0, bytes.byteLength);
      if (state === "whole" && frame.end === size && frame.kind !== "data") return true;
    }
    return false;
  } finally {
    await file.close();
  }
}
