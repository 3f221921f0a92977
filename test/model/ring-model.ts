/**
 * The ring, its request for room, and the sleep and wake of both ends, as steps. A step is one
 * access to shared memory by one method of src/runtime/wire: `method: access WORD`, in the order of
 * the source; test/unit/wire/ring-lockstep.test.ts runs both side by side and compares them. Steps
 * without a colon are plain memory accesses, which no other thread may see half-done, or the bell.
 */
import type { Choice, Model } from "./explore.ts";
import {
  type ConsumerLocals,
  copyState,
  type Death,
  freshConsumer,
  IDLE,
  initialState,
  type ProducerLocals,
  type RingSettings,
  type RingState,
  RUN,
  stateKey,
} from "./ring-state.ts";

/** The steps of `RingProducer`, `wakeIfIdle` and `park` in a thread that sends. */
type ProducerStep = (s: RingState, p: ProducerLocals, o: RingSettings) => void;

/** What `reserve` decides from what it knows, without looking at shared memory. */
function reserve(p: ProducerLocals, o: RingSettings): string {
  if (p.tail >= o.messages) return "done";
  if (p.tail - p.head >= o.capacity) return "reserve: load HEAD";
  return o.mutant === "publish before write" ? "publish: store TAIL" : "write";
}

export const PRODUCER: Record<string, ProducerStep> = {
  "reserve: load HEAD": (s, p, o) => {
    if (o.mutant !== "stale head") p.head = s.head;
    p.at = p.tail - p.head >= o.capacity ? "requestRoom: store ROOM_REQUEST" : reserve(p, o);
  },
  write: (s, p, o) => {
    const early = o.mutant === "publish before write";
    const number = early ? p.tail - 1 : p.tail;
    if (number - s.head >= o.capacity) s.broken = `record ${number + 1} overwrites an unread one`;
    s.slots[number % o.capacity] = number + 1;
    p.at = early ? "wake: load STATE" : "publish: store TAIL";
  },
  "publish: store TAIL": (s, p, o) => {
    p.tail++;
    s.tail = p.tail;
    p.at = o.mutant === "publish before write" ? "write" : "wake: load STATE";
  },
  "wake: load STATE": (s, p, o) => {
    const early = o.mutant === "ring before the claim";
    if (early && s.consumerState === IDLE) s.consumerBell = true;
    p.at = s.consumerState === IDLE ? "wake: cas STATE" : reserve(p, o);
  },
  "wake: cas STATE": (s, p, o) => {
    const rings = s.consumerState === IDLE && o.mutant !== "ring before the claim";
    s.consumerState = RUN;
    p.at = rings ? "ring" : reserve(p, o);
  },
  ring: (s, p, o) => {
    if (s.bellKnown) s.consumerBell = true;
    p.at = reserve(p, o);
  },
  "requestRoom: store ROOM_REQUEST": (s, p) => {
    s.roomRequest = 1;
    p.at = "park: cas STATE";
  },
  "park: cas STATE": (s, p, o) => {
    s.producerState = IDLE;
    p.at = o.mutant === "no re-check by the producer" ? "asleep" : "roomGranted: load HEAD";
  },
  "roomGranted: load HEAD": (s, p, o) => {
    const blind = o.mutant === "a taken request is not seen";
    const short = blind ? "asleep" : "roomGranted: load ROOM_REQUEST";
    p.at = p.tail - s.head <= o.capacity >> 1 ? "park: cas STATE back" : short;
  },
  "roomGranted: load ROOM_REQUEST": (s, p) => {
    p.at = s.roomRequest === 0 ? "park: cas STATE back" : "asleep";
  },
  "park: cas STATE back": (s, p, o) => {
    s.producerState = RUN;
    p.at = reserve(p, o);
  },
  asleep: (s, p) => {
    s.producerBell = false;
    p.at = "resume: cas STATE";
  },
  "resume: cas STATE": (s, p, o) => {
    s.producerState = RUN;
    p.at = reserve(p, o);
  },
};

/** The steps of `RingConsumer`, `wakeIfIdle` and `park` in a thread that receives. */
type ConsumerStep = (s: RingState, c: ConsumerLocals, o: RingSettings) => void;

const CHECK_ROOM = "grantRoom: load ROOM_REQUEST";

function release(c: ConsumerLocals, next: string): void {
  c.at = "release: cas HEAD";
  c.next = next;
}

/** The first step of handling the record at the head. */
function startRecord(c: ConsumerLocals, o: RingSettings): void {
  c.at = "read";
  if (o.mutant !== "free before read") return;
  c.head++;
  release(c, "read");
}

/** The end of a turn: another one after work, else sleep. Only a mutant has something to free. */
function endTurn(c: ConsumerLocals, o: RingSettings): void {
  const worked = c.worked > 0;
  c.worked = 0;
  if (c.released !== c.head) release(c, "park: cas STATE");
  else if (worked && c.head !== c.tail) startRecord(c, o);
  else c.at = worked ? "next: load TAIL" : "park: cas STATE";
}

function afterRecord(c: ConsumerLocals, o: RingSettings): void {
  if (c.released === c.head) c.count = 0;
  const isLast = c.worked === o.turn;
  const next = c.head === c.tail ? "next: load TAIL" : "read";
  const more = isLast ? CHECK_ROOM : next;
  if (c.count === o.batch || (isLast && c.released !== c.head)) release(c, more);
  else if (more === "read") startRecord(c, o);
  else c.at = more;
}

/** A zombie's handlers have no effect any more; a second delivery is counted, a gap is a loss. */
function deliver(s: RingState, c: ConsumerLocals): void {
  if (c === s.zombie) return;
  if (c.value > s.delivered + 1) s.broken = `record ${s.delivered + 1} is lost`;
  if (c.value <= s.delivered) s.duplicates++;
  else s.delivered = c.value;
}

/** True when this consumer's state word is the one in memory. */
function ownsState(s: RingState, c: ConsumerLocals, o: RingSettings): boolean {
  return s.consumerEpoch === c.epoch || o.mutant === "state word without epoch";
}

export const CONSUMER: Record<string, ConsumerStep> = {
  "next: load TAIL": (s, c, o) => {
    c.tail = s.tail;
    if (c.head !== c.tail) startRecord(c, o);
    else if (c.released !== c.head && o.mutant !== "grant before release") release(c, CHECK_ROOM);
    else c.at = CHECK_ROOM;
  },
  read: (s, c, o) => {
    const freed = o.mutant === "free before read" ? 1 : 0;
    c.value = s.slots[(c.head - freed) % o.capacity] ?? 0;
    const expected = c.head - freed + 1;
    if (c !== s.zombie && c.value !== expected) s.broken = `read ${c.value}, not ${expected}`;
    c.at = "handle";
    if (o.mutant !== "release before handling") return;
    c.head++;
    release(c, "handle");
  },
  handle: (s, c, o) => {
    const stepped = o.mutant === "free before read" || o.mutant === "release before handling";
    if (!stepped) c.head++;
    c.count++;
    c.worked = Math.min(c.worked + 1, o.turn ?? 1);
    deliver(s, c);
    afterRecord(c, o);
  },
  "release: cas HEAD": (s, c, o) => {
    const mine = s.head === c.released && s.headEpoch === c.epoch;
    if (!mine && o.mutant !== "release without compare") {
      c.at = "ended";
      return;
    }
    s.head = c.head;
    c.released = c.head;
    c.count = 0;
    c.at = c.next;
  },
  [CHECK_ROOM]: (s, c, o) => {
    if (s.roomRequest === 1) c.at = "grantRoom: load TAIL";
    else endTurn(c, o);
  },
  "grantRoom: load TAIL": (s, c, o) => {
    const room = s.tail - c.released <= o.capacity >> 1;
    if (o.mutant === "a request is cleared without room") s.roomRequest = 0;
    if (room) c.at = "grantRoom: store ROOM_REQUEST";
    else endTurn(c, o);
  },
  "grantRoom: store ROOM_REQUEST": (s, c) => {
    s.roomRequest = 0;
    c.at = "wake: load STATE";
  },
  "wake: load STATE": (s, c, o) => {
    if (s.producerState === IDLE) c.at = "wake: cas STATE";
    else endTurn(c, o);
  },
  "wake: cas STATE": (s, c, o) => {
    const won = s.producerState === IDLE;
    s.producerState = RUN;
    if (won) c.at = "ring";
    else endTurn(c, o);
  },
  ring: (s, c, o) => {
    s.producerBell = true;
    endTurn(c, o);
  },
  "park: cas STATE": (s, c, o) => {
    const owns = ownsState(s, c, o);
    if (owns) s.consumerState = IDLE;
    c.at = owns ? "isEmpty: load TAIL" : "ended";
    if (owns && o.mutant === "no re-check by the consumer") c.at = "asleep";
  },
  "isEmpty: load TAIL": (s, c) => {
    c.at = s.tail === c.head ? "asleep" : "park: cas STATE back";
  },
  "park: cas STATE back": (s, c, o) => {
    if (ownsState(s, c, o)) s.consumerState = RUN;
    c.at = "next: load TAIL";
  },
  asleep: (s, c) => {
    s.consumerBell = false;
    c.at = "resume: cas STATE";
  },
  "resume: cas STATE": (s, c, o) => {
    if (ownsState(s, c, o)) s.consumerState = RUN;
    c.at = "next: load TAIL";
  },
};

/** One step of the producer; used by the search and by the lockstep test. */
export function stepProducer(s: RingState, o: RingSettings): string | null {
  PRODUCER[s.producer.at]?.(s, s.producer, o);
  return s.broken;
}

/** One step of a consumer. */
export function stepConsumer(s: RingState, c: ConsumerLocals, o: RingSettings): string | null {
  CONSUMER[c.at]?.(s, c, o);
  return s.broken;
}

/** A new `RingProducer` over what the dead one published, in a thread that owns the block anew. */
function replaceProducer(s: RingState, o: RingSettings): void {
  s.producer = { at: "", tail: s.tail, head: s.head };
  s.producer.at = reserve(s.producer, o);
  s.producerState = RUN;
}

/** A new `RingConsumer` (it takes the ring over) in a thread that owns the block anew. */
function replaceConsumer(s: RingState, o: RingSettings): void {
  if (o.mutant !== "takeover without a new epoch") s.headEpoch++;
  s.consumerEpoch++;
  s.consumerState = RUN;
  s.consumerBell = false;
  s.bellKnown = false;
  const start = o.mutant === "replacement starts at the tail" ? s.tail : s.head;
  s.consumer = freshConsumer(start, s.headEpoch);
  s.consumer.released = s.head;
}

const DEATHS: Record<Death, (s: RingState, o: RingSettings) => void> = {
  "producer crash": replaceProducer,
  "consumer crash": replaceConsumer,
  "consumer stall": (s, o) => {
    s.zombie = s.consumer;
    replaceConsumer(s, o);
  },
};

function die(s: RingState, death: Death, o: RingSettings): null {
  s.deaths.push(death);
  s.mourning = death;
  DEATHS[death](s, o);
  return null;
}

/** The peer is told: it looks for work itself, and rings the replacement's doorbell once. */
function mourn(s: RingState, o: RingSettings): null {
  const silent = o.mutant === "no ring after a death";
  if (s.mourning === "producer crash") s.consumerBell ||= !silent;
  else {
    s.bellKnown = true;
    s.producerBell ||= !silent;
    s.consumerBell ||= o.mutant !== "no ring of a new doorbell";
  }
  s.mourning = "";
  return null;
}

function canStep(at: string, bell: boolean): boolean {
  return at !== "done" && at !== "ended" && (at !== "asleep" || bell);
}

function choices(s: RingState, o: RingSettings): Choice<RingState>[] {
  const found: Choice<RingState>[] = [];
  const add = (label: string, run: (copy: RingState) => string | null, optional = false): void => {
    found.push({ label, run, optional });
  };
  const { producer, consumer, zombie } = s;
  if (canStep(producer.at, s.producerBell)) {
    add(`P ${producer.at}`, (copy) => stepProducer(copy, o));
  }
  if (canStep(consumer.at, s.consumerBell)) {
    add(`C ${consumer.at}`, (copy) => stepConsumer(copy, copy.consumer, o));
  }
  if (zombie !== null && canStep(zombie.at, false)) {
    add(`Z ${zombie.at}`, (copy) => stepConsumer(copy, copy.zombie ?? zombie, o));
  }
  if (s.mourning !== "") add("obituary", (copy) => mourn(copy, o));
  for (const death of o.deaths ?? []) {
    if (s.mourning === "" && !s.deaths.includes(death)) {
      add(death, (copy) => die(copy, death, o), true);
    }
  }
  return found;
}

/** The ring between one producer and one consumer, with the deaths that the settings name. */
export function ringModel(o: RingSettings): Model<RingState> {
  const replaced = (s: RingState): number =>
    s.deaths.filter((death) => death !== "producer crash").length;
  return {
    initial: initialState(o),
    copy: copyState,
    key: stateKey,
    choices: (s) => choices(s, o),
    unfinished: (s) =>
      s.delivered < o.messages
        ? `stuck after ${s.delivered} of ${o.messages} records`
        : s.duplicates > replaced(s) * o.batch
          ? `${s.duplicates} records delivered twice`
          : null,
  };
}
