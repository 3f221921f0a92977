/**
 * What a link does at its own end when the thread at the other end died and will be replaced by
 * one that reads the same rings on: tells what died with it from what only waits longer.
 */
import { RingConsumer } from "../wire/ring.ts";
import type { SlabOwner } from "../wire/slab.ts";
import type { CallTable } from "./call-table.ts";
import * as frame from "./frame.ts";
import type { PendingCall } from "./pending.ts";

/** In the first lane answers travel; it is not read on. */
const FIRST = 0;
/** Row of the one actor of such a thread. */
const DIRECT_SLOT = 1;

/** The ring in which a frame to a thread whose actor reads its rings itself travels. */
export function directLane(slot: number, lane: number): number {
  return slot === DIRECT_SLOT ? Math.max(1, lane) : FIRST;
}

/** True when the record of the call was freed: the dead thread took it and never answered. */
export function isLost(call: PendingCall, heads: readonly number[]): boolean {
  if (call.position === null) return false;
  const head = heads[directLane(DIRECT_SLOT, call.kind.lane)] ?? 0;
  return ((head - call.position) | 0) >= 0;
}

/** A call that had waited behind a full ring is in it now. */
export function notePosition(calls: CallTable, bytes: Uint8Array, position: number): void {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
  if (frame.typeOf(words[1] as number) !== frame.CALL) return;
  const call = calls.get(words[4] as number);
  if (call !== null) call.position = position;
}

/** Answers that nobody will read any more give back the memory that they lent. */
export function freeUnread(first: SharedArrayBuffer, slab: SlabOwner): void {
  const ring = new RingConsumer(first);
  for (let at = ring.next(); at >= 0; at = ring.next()) {
    const word = at >> 2;
    const form = frame.formOf(ring.i32[word + 1] as number);
    // A cast has the same header as an answer, and calls do not travel in this ring.
    const body = word + (frame.PLAIN_BYTES >> 2);
    if (form === frame.FIELDS_IN_SLAB || form === frame.PACKED_IN_SLAB) {
      slab.cancel({ place: ring.i32[body] as number, generation: ring.i32[body + 1] as number });
    }
    ring.advance();
  }
}
