/**
 * The header of a frame, the one message that travels between threads, as words in a ring. Only
 * this file knows which word means what.
 *
 * ```
 * word 0   slot of the receiver; of a reply, failure or cancellation: the call's number
 * word 1   type (3 bits), form of the body (3), trace (1), kind of the message (16)
 * word 2   address of the sender
 * word 3   generation of the receiver
 * calls:   4 number of the call, 5-7 token (table -1: none), 8-9 deadline as a double
 * traced:  6 words more: trace id and span id
 * ```
 */
import type { RecordView } from "../wire/record-view.ts";
import type { TraceContext } from "./trace.ts";

export const CAST = 0;
export const CALL = 1;
export const REPLY = 2;
export const FAIL = 3;
export const CANCEL = 4;
/** There is room in a mailbox for which the receiving thread's actors wait. */
export const ROOM = 5;
export type FrameType = 0 | 1 | 2 | 3 | 4 | 5;

/** No body: the payload is undefined. */
export const EMPTY = 0;
/** The fields that the protocol declares. */
export const FIELDS = 1;
/** msgpackr. */
export const PACKED = 2;
/** As FIELDS and PACKED, but lying in the sender's slab; the body is the handle. */
export const FIELDS_IN_SLAB = 3;
export const PACKED_IN_SLAB = 4;
/** A parcel holds the packed bytes, or the payload itself as the platform clones it. */
export const PACKED_PARCEL = 5;
export const CLONED_PARCEL = 6;
export type BodyForm = 0 | 1 | 2 | 3 | 4 | 5 | 6;

export const PLAIN_BYTES = 16;
export const CALL_BYTES = 40;
const TRACE_BYTES = 24;
/** The longest header. */
export const HEADER_BYTES = CALL_BYTES + TRACE_BYTES;

export function headerBytes(isCall: boolean, traced: boolean): number {
  return (isCall ? CALL_BYTES : PLAIN_BYTES) + (traced ? TRACE_BYTES : 0);
}

export function writePlain(
  view: RecordView,
  at: number,
  first: number,
  type: FrameType,
  form: BodyForm,
  kindIndex: number,
): void {
  const word = at >> 2;
  view.i32[word] = first;
  view.i32[word + 1] = type | (form << 3) | (kindIndex << 8);
  view.i32[word + 2] = 0;
  view.i32[word + 3] = 0;
}

export function writeAddressing(view: RecordView, at: number, from: number, gen: number): void {
  view.i32[(at >> 2) + 2] = from;
  view.i32[(at >> 2) + 3] = gen;
}

export function writeCall(
  view: RecordView,
  at: number,
  id: number,
  token: { readonly table: number; readonly slot: number; readonly generation: number } | null,
  deadlineAtMs: number,
): void {
  const word = at >> 2;
  view.i32[word + 4] = id;
  view.i32[word + 5] = token === null ? -1 : token.table;
  view.i32[word + 6] = token === null ? 0 : token.slot;
  view.i32[word + 7] = token === null ? 0 : token.generation;
  view.f64[(at >> 3) + 4] = deadlineAtMs;
}

/** `at` is where the trace begins: behind the words of a cast or a call. */
export function writeTrace(view: RecordView, frameAt: number, at: number, t: TraceContext): void {
  const word = frameAt >> 2;
  view.i32[word + 1] = (view.i32[word + 1] as number) | (1 << 6);
  const digits = t.traceId + t.spanId;
  for (let part = 0; part < 6; part++) {
    view.i32[(at >> 2) + part] = Number.parseInt(digits.slice(part * 8, part * 8 + 8), 16) | 0;
  }
}

export function readTrace(view: RecordView, at: number): TraceContext {
  let digits = "";
  for (let part = 0; part < 6; part++) {
    const word = (view.i32[(at >> 2) + part] as number) >>> 0;
    digits += word.toString(16).padStart(8, "0");
  }
  return { traceId: digits.slice(0, 32), spanId: digits.slice(32) };
}

export function typeOf(flags: number): number {
  return flags & 7;
}

export function formOf(flags: number): number {
  return (flags >> 3) & 7;
}

export function isTraced(flags: number): boolean {
  return (flags & (1 << 6)) !== 0;
}

export function kindOf(flags: number): number {
  return (flags >> 8) & 0xffff;
}
