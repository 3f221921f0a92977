/** What two threads share to talk, made on the main thread when both are ready. */
import { ringMemory } from "../wire/ring.ts";
import type { Bell } from "./outbound.ts";
import type { ParcelPort } from "./parcels.ts";
import type { TokenMemory } from "./token-memory.ts";

/** One thread, as the others meet it. */
export interface Member {
  readonly thread: string;
  readonly threadId: number;
  /** Counts the starts of the thread. */
  readonly epoch: number;
  readonly block: SharedArrayBuffer;
  readonly credits: SharedArrayBuffer;
  /** The table in which its tokens lie. */
  readonly tokens: TokenMemory;
  /** Its rings to other threads, by their ids, for inspectors; does not travel. */
  readonly rings?: Map<number, readonly SharedArrayBuffer[]>;
  /** True when its actor reads its rings itself: answers to it have the first ring for them. */
  readonly direct?: boolean;
  /** What an earlier start of it had not read, by the ids of the senders; does not travel. */
  readonly kept?: Map<number, readonly SharedArrayBuffer[]>;
}

/** One end: the other thread, and the rings between it and this one, one a lane. */
export interface Shared extends Member {
  /** Rings between the two are read on that an earlier start of one of them had left. */
  readonly resumed: boolean;
  readonly out: readonly SharedArrayBuffer[];
  readonly in: readonly SharedArrayBuffer[];
}

export interface Connection extends Shared {
  readonly bell: Bell;
  readonly parcels: ParcelPort;
}

/** Bytes of the rings of one direction: system, emergency, control, bulk. */
const RING_BYTES = [32_768, 32_768, 262_144, 262_144] as const;

/** The first ring towards a thread whose actor reads the others itself. */
const ANSWER_BYTES = 131_072;

/** The rings from one thread to another. */
function rings(from: Member, to: Member, given: number | undefined): readonly SharedArrayBuffer[] {
  const fresh = RING_BYTES.map((bytes) => ringMemory(given ?? bytes));
  if (to.direct !== true) return fresh;
  const answers = ringMemory(given ?? ANSWER_BYTES);
  const others = to.kept?.get(from.threadId) ?? fresh;
  // From now on they belong to this connection.
  to.kept?.delete(from.threadId);
  return [answers, ...others.slice(1)];
}

/** The ends of a new connection: the first is `left`'s. */
export function shareRings(left: Member, right: Member, ringBytes?: number): [Shared, Shared] {
  const resumed =
    left.kept?.has(right.threadId) === true || right.kept?.has(left.threadId) === true;
  const there = rings(left, right, ringBytes);
  const back = rings(right, left, ringBytes);
  left.rings?.set(right.threadId, there);
  right.rings?.set(left.threadId, back);
  return [
    { ...member(right), resumed, out: there, in: back },
    { ...member(left), resumed, out: back, in: there },
  ];
}

function member({ thread, threadId, epoch, block, credits, tokens, direct = false }: Member) {
  return { thread, threadId, epoch, block, credits, tokens, direct };
}
