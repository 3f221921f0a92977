/** How the mailbox in the rings of a thread is joined to the rest of that thread. */
import { RingConsumer } from "../wire/ring.ts";
import type { ThreadBlock } from "../wire/thread-block.ts";
import type { Cell } from "./cell.ts";
import type { Credits } from "./credits.ts";
import { Link } from "./link.ts";
import type { Message } from "./message.ts";
import { ParcelReceiver } from "./parcels.ts";
import type { Receiving, Sender } from "./receiving.ts";
import { type Feed, RingMailbox } from "./ring-mailbox.ts";
import type { KeptRings } from "./wire.ts";

/** What the mailbox uses of the mesh of its thread. */
export interface FeedOwner {
  readonly block: ThreadBlock;
  tellWaiting(cell: Cell): void;
  forgetArenas(threadId: number): void;
}

export function createRingMailbox(
  credits: Credits,
  receiving: Receiving,
  owner: FeedOwner,
): RingMailbox {
  return new RingMailbox({
    credits,
    receiving,
    isOwner: () => owner.block.isOwner,
    onRoom: (cell) => owner.tellWaiting(cell),
    onFreed: (sender) => {
      if (sender instanceof Link) sender.wake();
    },
    onBroken: (sender, error) => {
      if (sender instanceof Link) receiving.onBroken(sender, error);
    },
    onDrained: (sender) => {
      if (sender instanceof Link) owner.forgetArenas(sender.threadId);
    },
  });
}

/** Nobody waits for an answer, and no parcel comes any more. */
export function orphanFeed(memories: KeptRings, receiving: Receiving): Feed {
  const sender: Sender = {
    thread: "(over)",
    inboundCalls: new Map<number, Message>(),
    caller: () => null,
    fail: () => {},
  };
  const nowhere = { post: () => {}, take: () => undefined, close: () => {} };
  const rings = memories.map((memory) => new RingConsumer(memory));
  return { sender, rings, parcels: new ParcelReceiver(nowhere, receiving.slab), over: true };
}
