/**
 * Where an actor lives, as one small integer: the thread's id in the upper bits, the actor's slot
 * in that thread in the lower 24. Slot 0 is the thread itself, which sends but has no mailbox.
 */

const SLOT_BITS = 24;
const SLOT_MASK = 2 ** SLOT_BITS - 1;

/** The most actors one thread can hold at once. */
export const MAX_SLOTS = SLOT_MASK;
/** The most threads of one system, so that an address stays a positive small integer. */
export const MAX_THREADS = 64;

export function addressOf(threadId: number, slot: number): number {
  return (threadId << SLOT_BITS) | slot;
}

export function threadOf(address: number): number {
  return address >>> SLOT_BITS;
}

export function slotOf(address: number): number {
  return address & SLOT_MASK;
}
