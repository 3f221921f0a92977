/** What must be found in an outbox, whatever happened; a breach is thrown as `BrokenPromise`. */
import { LANES, type Lane, type Wal } from "esper-runtime";
import {
  type DeadLetterEntry,
  type Outbox,
  statementsOf,
  type WaitingEntry,
} from "esper-runtime/testkit";
import { BrokenPromise, type Told } from "../told.ts";
import { itemOf, numberOf } from "../workload.ts";
import { ACKNOWLEDGED, ATTEMPTS, DIED, NEWEST, REASONS, SEQUENCE } from "./outbox-facts.ts";

const MANY = 100_000;

/** The lane of an item; every ninth has none. */
export const laneOf = (item: string): Lane | null =>
  LANES[Math.floor((numberOf(item) % 9) / 2)] ?? null;

export const subjectOf = (item: string): string => `about ${item}`;

/** Compares what has a place in a lane with what was put and what was done to it. */
function requireKnown(entry: WaitingEntry | DeadLetterEntry, told: Told): void {
  const { id, lane, subject, sequence, attempts } = entry;
  if (told.recall(ACKNOWLEDGED(id)) === 2) {
    throw new BrokenPromise(`${id} is there, and the receiver had acknowledged it`);
  }
  if (lane !== laneOf(id) || subject !== subjectOf(id)) {
    throw new BrokenPromise(`${id} is in the lane ${lane}, ${subject}`);
  }
  if (sequence !== (told.recall(SEQUENCE(id)) ?? sequence)) {
    throw new BrokenPromise(`${id} is record ${sequence}, which was another one before`);
  }
  if (attempts > (told.recall(ATTEMPTS(id)) ?? 0)) {
    throw new BrokenPromise(`${id} has ${attempts} attempts, more than there were`);
  }
}

/** What is handed out is what was put. @throws {BrokenPromise} */
export function requireSame(entry: WaitingEntry, told: Told): void {
  requireKnown(entry, told);
  const { id, payload } = entry;
  const found = itemOf(payload);
  if (found !== id) throw new BrokenPromise(`${id} has the payload of ${found}`);
  if ((told.recall(DIED(id)) ?? 1) > 1) throw new BrokenPromise(`${id} waits, and it was dead`);
}

/** Why a dead letter may have died, and of nothing else. */
function requireReason(letter: DeadLetterEntry, told: Told): void {
  requireKnown(letter, told);
  const { id, lane, why } = letter;
  const fact = told.recall(DIED(id));
  const possible = new Map<string, boolean>([
    [REASONS.never.why, fact === 1],
    [REASONS.busy.why, lane === "bulk" && told.recall(ATTEMPTS(id)) !== null],
    [REASONS.room.why, lane === "bulk"],
  ]);
  const answered = Object.values(REASONS).find((reason) => reason.fact === fact);
  const right = answered === undefined ? possible.get(why) === true : answered.why === why;
  if (!right) throw new BrokenPromise(`${id} is dead: "${why}", which cannot be`);
}

function waitingIn(lane: Lane, outbox: Outbox, told: Told): string[] {
  const entries = outbox.next(MANY, [lane]);
  let before = 0;
  for (const entry of entries) {
    requireSame(entry, told);
    const number = numberOf(entry.id);
    if (number < before) throw new BrokenPromise(`${entry.id} is behind item-${before}`);
    before = number;
  }
  return entries.map(({ id }) => id);
}

/** A note is that of the newest entry of its lane: both became true together. */
function requireNotes(outbox: Outbox, found: readonly string[], told: Told): void {
  const notes = outbox.notes("");
  for (const lane of LANES) {
    const bytes = notes.get(lane);
    const item = bytes === undefined ? "item-0" : new TextDecoder().decode(bytes);
    const newest = found.filter((one) => laneOf(one) === lane).map(numberOf);
    const least = Math.max(told.recall(NEWEST(lane)) ?? 0, ...newest);
    if (!(numberOf(item) >= least)) {
      throw new BrokenPromise(`the note of ${lane} is ${item}, and item-${least} is newer`);
    }
    const ended = told.recall(ACKNOWLEDGED(item)) !== null;
    if (item !== "item-0" && !ended && !found.includes(item)) {
      throw new BrokenPromise(`the note of ${lane} is ${item}, which is not there`);
    }
  }
}

/** Everything that is kept, in the order in which it was offered. @throws {BrokenPromise} */
export async function findAll(wal: Wal, outbox: Outbox, told: Told): Promise<readonly string[]> {
  const stored = new Map<string, string>();
  const plain: string[] = [];
  for await (const record of wal.read()) {
    for (const statement of statementsOf(record)) {
      if (statement.kind !== "entry") continue;
      const item = itemOf(statement.payload);
      stored.set(statement.id, item);
      if (statement.lane === null) plain.push(item);
    }
  }
  const dead = outbox.deadLetters(MANY);
  for (const letter of dead) {
    requireReason(letter, told);
    const item = stored.get(letter.id);
    if (item !== letter.id) throw new BrokenPromise(`${letter.id} is stored as ${item}`);
  }
  const waiting = LANES.flatMap((lane) => waitingIn(lane, outbox, told));
  const found = [...waiting, ...dead.map(({ id }) => id)];
  requireNotes(outbox, found, told);
  return [...found, ...plain].sort((one, other) => numberOf(one) - numberOf(other));
}
