/**
 * The state of the ring model: what lies in shared memory and what each thread knows. A record has
 * the size of one slot, its content is its number, and counters count records from 0.
 */

export const RUN = 0;
export const IDLE = 1;

/** Faults that the model can be given; each must be found, or the model proves nothing. */
export type Mutant =
  | "no re-check by the consumer"
  | "no re-check by the producer"
  | "a taken request is not seen"
  | "a request is cleared without room"
  | "grant before release"
  | "publish before write"
  | "free before read"
  | "release before handling"
  | "stale head"
  | "ring before the claim"
  | "no ring after a death"
  | "no ring of a new doorbell"
  | "release without compare"
  | "takeover without a new epoch"
  | "replacement starts at the tail"
  | "state word without epoch";

/** How threads may end: a crash at any step, or a stall, to live on beside the replacement. */
export type Death = "producer crash" | "consumer crash" | "consumer stall";

export interface RingSettings {
  readonly messages: number;
  readonly capacity: number;
  /** Records between two releases; 1 is a mailbox read in place. */
  readonly batch: number;
  /** Records handled before the turn ends although there are more; without it all are. */
  readonly turn?: number;
  readonly deaths?: readonly Death[];
  readonly mutant?: Mutant;
}

/** Locals of `RingProducer` and of the thread that uses it. */
export interface ProducerLocals {
  at: string;
  tail: number;
  head: number;
}

/** Locals of `RingConsumer` and of the thread that uses it. */
export interface ConsumerLocals {
  at: string;
  /** Where to go on after a release. */
  next: string;
  tail: number;
  head: number;
  released: number;
  epoch: number;
  value: number;
  /** Records handled since the last release, and in this turn (counted as far as it matters). */
  count: number;
  worked: number;
}

export interface RingState {
  tail: number;
  head: number;
  headEpoch: number;
  readonly slots: number[];
  roomRequest: number;
  consumerState: number;
  consumerEpoch: number;
  producerState: number;
  consumerBell: boolean;
  producerBell: boolean;
  /** False while the producer would still ring the doorbell of a dead consumer. */
  bellKnown: boolean;
  /** Deaths that have happened, and obituaries still to be read. */
  readonly deaths: Death[];
  mourning: string;
  producer: ProducerLocals;
  consumer: ConsumerLocals;
  zombie: ConsumerLocals | null;
  delivered: number;
  duplicates: number;
  /** The promise that a step has just broken, as a sentence. */
  broken: string | null;
}

export function freshConsumer(head: number, epoch: number): ConsumerLocals {
  return {
    ...{ at: "next: load TAIL", next: "", tail: head, head, released: head, epoch },
    ...{ value: 0, count: 0, worked: 0 },
  };
}

export function initialState({ capacity }: RingSettings): RingState {
  return {
    ...{ tail: 0, head: 0, headEpoch: 1, slots: new Array<number>(capacity).fill(0) },
    ...{ roomRequest: 0, consumerState: RUN, consumerEpoch: 1, producerState: RUN },
    ...{ consumerBell: false, producerBell: false, bellKnown: true, deaths: [], mourning: "" },
    producer: { at: "write", tail: 0, head: 0 },
    ...{ consumer: freshConsumer(0, 1), zombie: null, delivered: 0, duplicates: 0, broken: null },
  };
}

export function copyState(state: RingState): RingState {
  return {
    ...state,
    slots: [...state.slots],
    deaths: [...state.deaths],
    producer: { ...state.producer },
    consumer: { ...state.consumer },
    zombie: state.zombie === null ? null : { ...state.zombie },
  };
}

/** Everything that can influence what happens next, and what was delivered. */
export function stateKey(state: RingState): string {
  const { producer, consumer, zombie } = state;
  return [
    ...[state.tail, state.head, state.headEpoch, state.slots.join(), state.roomRequest],
    ...[state.consumerState, state.consumerEpoch, state.producerState],
    ...[state.consumerBell, state.producerBell, state.bellKnown, state.deaths.join()],
    ...[state.mourning, producer.at, producer.tail, producer.head],
    ...[localsKey(consumer), zombie === null ? "" : localsKey(zombie)],
    ...[state.delivered, state.duplicates],
  ].join("|");
}

function localsKey(locals: ConsumerLocals): string {
  const { at, next, tail, head, released, epoch, value, count, worked } = locals;
  return `${at}/${next}/${tail}/${head}/${released}/${epoch}/${value}/${count}/${worked}`;
}
