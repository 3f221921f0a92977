/**
 * What a sender knows of a receiver without asking it: how much waits for it, and whether it is
 * there at all. An actor of another thread is judged by the memory it shares, a moment old.
 */
import { emergencyCapacity } from "../mailbox.ts";
import type { Kind } from "../wire/protocol-table.ts";
import type { Admission, Credits } from "./credits.ts";
import type { Link } from "./link.ts";
import type { Attempt } from "./post.ts";
import type { Target } from "./refs.ts";

/** Messages queued or on their way; 0 for an actor that is gone. */
export function depthOf({ cell, slot }: Target, link: Link | undefined, own: Credits): number {
  if (cell === null) return link?.credits.depth(slot) ?? 0;
  return cell.isShared ? own.depth(slot) : cell.mailbox.size;
}

/** False while the receiver is known to be restarting, and when it is gone for good. */
export function isUp({ cell, threadId, slot, generation }: Target, link: Link | undefined) {
  if (cell !== null) {
    return cell.state === "running" || (cell.state === "starting" && cell.starts === 1);
  }
  if (threadId < 0 || link === undefined) return false;
  // A spawned actor without a row is of a thread before this one.
  return link.credits.isUp(slot) && (generation === 0 || link.credits.capacity(slot) > 0);
}

/** Why there was no place. The place of a spawned actor is taken away when it ends. */
export function refusedBy(admission: Admission, { slot, generation }: Target, credits: Credits) {
  const attempt: Attempt = admission === "full" ? "full" : "restarting";
  if (generation === 0) return attempt;
  return attempt === "full" && credits.capacity(slot) > 0 ? attempt : "stopped";
}

const NO_LIMIT = 2 ** 30;

/** System messages are never refused for want of room; emergencies have room of their own. */
export function placesFor(limit: number, { lane }: Kind): number {
  if (lane >= 2) return limit;
  return lane === 0 ? NO_LIMIT : emergencyCapacity(limit);
}
