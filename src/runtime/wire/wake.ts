/**
 * How a thread falls asleep without missing a message, and how it is woken without cost while it
 * runs. Nothing here waits or rings: the caller owns the doorbell. Two rules make it survive the
 * death of a thread, for a waker may die between its claim and its ring, and a consumer between
 * taking a request for room and the wake. Whoever learns that a peer died or was replaced looks
 * for work once itself, and rings once the doorbell of the replacement.
 */
import type { ThreadBlock } from "./thread-block.ts";

/** After publishing for a thread: true when it slept, and the caller must ring its doorbell. */
export function wakeIfIdle(block: ThreadBlock): boolean {
  return block.claimWake();
}

/**
 * Goes to sleep unless there is work: true when the thread must now wait for its doorbell.
 * `hasWork` looks at every inbound ring and at the room that this thread waits for; the drains
 * before it have ended with `grantRoom`.
 */
export function park(block: ThreadBlock, hasWork: () => boolean): boolean {
  // A condemned or replaced thread sleeps for good, and what it left is another's to read.
  if (!block.toIdle()) return true;
  // A record published before the state was idle rang nobody: it must be seen here.
  if (hasWork()) {
    // Going on is right even when a waker was quicker: its bell finds this thread running.
    block.toRunning();
    return false;
  }
  block.parked();
  return true;
}

/** The doorbell rang, rightly or not. */
export function resume(block: ThreadBlock): void {
  block.toRunning();
}
