/**
 * What a writer tells its parent over a pipe, 24 bytes a message: it says what it is about to do
 * before it does it, and what was acknowledged after. The parent's memory of this is the oracle;
 * it outlives the writer and knows nothing of the log's format.
 */
import { writeSync } from "node:fs";

/** The pipe's number in the writer. */
export const TOLD_FD = 3;
export const TOLD_BYTES = 24;

const KINDS = [
  "ready",
  "offer",
  "acknowledged",
  "prune",
  "compact",
  "pruned",
  "compacted",
] as const;
export type ToldKind = (typeof KINDS)[number];

/**
 * "ready": the log is open, `value` is its last sequence. "offer": the record `index` of the time
 * `value` is about to be appended. "acknowledged": it got the sequence `value`. "prune": records
 * before the time `value` may go from now on. "compact": those up to the sequence `value` that are
 * not kept may go. "pruned" and "compacted": that is done, `value` segments or records went.
 */
export interface Told {
  readonly kind: ToldKind;
  readonly index: number;
  readonly value: number;
}

/** One message as it goes over the pipe; a writer killed within it has told nothing. */
export function encodeTold({ kind, index, value }: Told): Uint8Array {
  const bytes = new Uint8Array(TOLD_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, KINDS.indexOf(kind), true);
  view.setUint32(4, index, true);
  view.setFloat64(8, value, true);
  return bytes;
}

/** Sends one message at once: when this returns, the parent will get it whatever happens. */
export function tell(kind: ToldKind, index: number, value: number): void {
  writeSync(TOLD_FD, encodeTold({ kind, index, value }));
}

/** All whole messages of what came over the pipe. */
export function decodeTold(bytes: Uint8Array): Told[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = Math.floor(bytes.byteLength / TOLD_BYTES);
  return Array.from({ length: count }, (_, at) => {
    const kind = KINDS[view.getUint32(TOLD_BYTES * at, true)];
    if (kind === undefined) throw new Error(`message ${at} of the pipe is of no known kind`);
    const index = view.getUint32(TOLD_BYTES * at + 4, true);
    return { kind, index, value: view.getFloat64(TOLD_BYTES * at + 8, true) };
  });
}
