/** A connection between two hosts in one thread: the bell rings in a later step. */
import type { Connection, Shared } from "./connection.ts";
import type { Bell } from "./outbound.ts";
import type { Parcel, ParcelPort } from "./parcels.ts";

/**
 * What a later step of an inline thread is: a piece of its loop, its doorbell, an order from the
 * system, a report to it, or the end of the thread.
 */
export interface StepOrigin {
  readonly kind: "loop" | "bell" | "control" | "report" | "end";
  readonly thread: string;
  /** Who rings, of a bell. */
  readonly from?: string;
}

/** Runs the steps of hosts in one thread; the order between two origins is its own choice. */
export interface InlineScheduler {
  /** Runs `run` later; those of one origin in the order in which they were given. */
  readonly later: (run: () => void, origin: StepOrigin) => void;
  /** Capacity of every ring between two threads. Default: as between worker threads. */
  readonly ringBytes?: number | undefined;
}

type Later = InlineScheduler["later"];

/** Where the loop of one thread runs its pieces. */
export function laterOf({ later }: InlineScheduler, thread: string): (run: () => void) => void {
  const origin: StepOrigin = { kind: "loop", thread };
  return (run) => later(run, origin);
}

export const inMicrotask: InlineScheduler = {
  later: (run) => void Promise.resolve().then(run),
};

/** Both ends; each is given the way to wake the host of the other. */
export function inlineEnds(
  ends: [Shared, Shared],
  wakeLeft: () => void,
  wakeRight: () => void,
  { later }: InlineScheduler,
): [Connection, Connection] {
  const toLeft: Parcel[] = [];
  const toRight: Parcel[] = [];
  const left = ends[1].thread;
  const right = ends[0].thread;
  const ringRight = bellOf(wakeRight, later, { kind: "bell", thread: right, from: left });
  const ringLeft = bellOf(wakeLeft, later, { kind: "bell", thread: left, from: right });
  return [
    { ...ends[0], bell: ringRight, parcels: parcelPort(toRight, toLeft) },
    { ...ends[1], bell: ringLeft, parcels: parcelPort(toLeft, toRight) },
  ];
}

function bellOf(wake: () => void, later: Later, origin: StepOrigin): Bell {
  let open = true;
  return {
    ring() {
      later(() => {
        if (open) wake();
      }, origin);
    },
    close() {
      open = false;
    },
  };
}

/** Parcels are cloned, as they would be between threads. */
function parcelPort(out: Parcel[], arrived: Parcel[]): ParcelPort {
  return {
    post: (parcel, transfer) => {
      out.push(structuredClone(parcel, { transfer: [...transfer] }));
    },
    take: () => arrived.shift(),
    close: () => {
      arrived.length = 0;
    },
  };
}
