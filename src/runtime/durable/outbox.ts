/**
 * An outbox in a write-ahead log: what must reach somebody else is on disk first, is handed out in
 * order within its lane, highest lane first, and leaves once it was acknowledged by id. Whatever
 * crashes, nothing that was put is lost; it may be handed out again, so a reader tells entries
 * apart by id. What is given up becomes a dead letter with its reason, never nothing.
 */
import { EsperError } from "../../protocols/errors.ts";
import { LANES, type Lane } from "../../protocols/protocol.ts";
import type { Clock } from "../clock.ts";
import { OutboxJournal, type OutboxLog, statementsOf } from "./outbox-journal.ts";
import type { LaneStatus, OutboxLane, WaitingEntry } from "./outbox-lane.ts";
import { type LaneChanges, lanePolicies } from "./outbox-policy.ts";
import { checkText, type EntryStatement, type Statement } from "./outbox-record.ts";
import { type DeadLetterEntry, OutboxState, type Retention } from "./outbox-state.ts";
import type { Receipt } from "./wal-batch.ts";

/** How an outbox is opened; what is left out has its default. */
export interface OutboxOptions {
  readonly clock: Clock;
  readonly lanes?: LaneChanges;
  readonly retention?: Partial<Retention>;
}

/** A value that is replaced together with an entry, or alone; null takes it away. */
export interface NoteChange {
  readonly key: string;
  readonly bytes: Uint8Array | null;
}

/** Something to keep. Without a lane it is only kept; with one it also waits to be sent. */
export interface OutboxPut {
  /** Unique for ever: what is put twice under one id is one entry. */
  readonly id: string;
  readonly lane: Lane | null;
  readonly subject: string;
  readonly payload: Uint8Array;
  /** When it was issued: wall time in milliseconds since 1970. */
  readonly timeMs: number;
  /** Become true together with the entry, or not at all. */
  readonly notes?: readonly NoteChange[];
}

/** What follows from a failed delivery. */
export type FailureOutcome =
  | { readonly outcome: "retry"; readonly attempts: number; readonly delayMs: number }
  | { readonly outcome: "dead"; readonly attempts: number }
  /** The entry was settled before. */
  | { readonly outcome: "unknown" };

/** How full an outbox is and what became of its entries. `fill` is that of its fullest lane. */
export interface OutboxStatus {
  readonly lanes: Readonly<Record<Lane, LaneStatus>>;
  readonly fill: number;
  readonly deadLetters: number;
}

/** Entries given up because of their age or for want of room, told once. */
export interface GivenUp {
  readonly id: string;
  readonly lane: Lane;
  readonly why: string;
}

const DAY_MS = 86_400_000;
const DEFAULT_RETENTION: Retention = {
  keepMs: DAY_MS,
  keepRecords: 65_536,
  keepBytes: 64 * 1_048_576,
  deadMax: 1_024,
};
/** A log is rewritten when at least so much, and at least half of it, is of no use. */
const COMPACTION_BYTES = 4 * 1_048_576;
const GIVEN_UP_MAX = 256;
const NOTES_BYTES_MAX = 524_288;
/** Ids in one record: even the longest ones fit. */
const IDS_A_RECORD = 512;

/** The outbox of one log. */
export class Outbox {
  readonly #journal: OutboxJournal;
  readonly #clock: Clock;
  readonly #state: OutboxState;
  /** Puts on their way to the disk, so that one that is repeated waits for the first. */
  readonly #writing = new Map<string, Writing>();
  #givenUp: GivenUp[] = [];

  private constructor(log: OutboxLog, clock: Clock, state: OutboxState) {
    this.#journal = new OutboxJournal(log, clock, state);
    this.#clock = clock;
    this.#state = state;
  }

  /** Reads the log from its beginning. @throws {WAL_CORRUPT} naming the record. */
  static async open(log: OutboxLog, options: OutboxOptions): Promise<Outbox> {
    const retention = { ...DEFAULT_RETENTION, ...options.retention };
    const state = new OutboxState(lanePolicies(options.lanes), retention);
    for await (const record of log.read()) {
      state.apply(statementsOf(record), record.sequence, record.timeMs);
    }
    state.forget(options.clock.nowMs());
    return new Outbox(log, options.clock, state);
  }

  get status(): OutboxStatus {
    const { system, emergency, control, bulk } = this.#state.lanes;
    const lanes = {
      system: system.status,
      emergency: emergency.status,
      control: control.status,
      bulk: bulk.status,
    };
    const fill = Math.max(...LANES.map((lane) => lanes[lane].fill));
    return { lanes, fill, deadLetters: this.#state.dead.size };
  }

  /** The newest dead letters, oldest first. */
  deadLetters(limit: number): readonly DeadLetterEntry[] {
    return limit <= 0 ? [] : [...this.#state.dead.values()].slice(-limit);
  }

  /** The notes whose keys begin with `prefix`. */
  notes(prefix: string): ReadonlyMap<string, Uint8Array> {
    const found = new Map<string, Uint8Array>();
    for (const [key, { bytes }] of this.#state.notes) {
      if (key.startsWith(prefix)) found.set(key, bytes);
    }
    return found;
  }

  /**
   * Keeps an entry and returns its sequence number once it is on disk; known ids return theirs.
   * @throws {BACKLOG_FULL} when the lane has no room @throws {RECORD_WITHOUT_TIME}
   * @throws {FRAME_MALFORMED} and whatever the log throws.
   */
  put(put: OutboxPut): Promise<number> {
    return new Promise((kept, refused) => this.keep(put, { kept, refused }));
  }

  /** As `put`, for many entries at once: tells the receipt what the promise would say. */
  keep(put: OutboxPut, receipt: Receipt): void {
    const { id, lane, payload } = put;
    const writing = this.#writing.get(id);
    if (writing !== undefined) {
      writing.share(receipt);
      return;
    }
    const known = this.#state.sequenceOf(id);
    if (known !== undefined) {
      receipt.kept(known);
      return;
    }
    try {
      checkPut(put);
      if (put.notes !== undefined) this.#checkNotes(put.notes);
      if (lane !== null) this.#makeRoom(lane, payload.byteLength);
    } catch (error) {
      receipt.refused(error);
      return;
    }
    const queue = lane === null ? null : this.#state.lanes[lane];
    const own = new Writing(this.#writing, id, queue, payload.byteLength, receipt);
    this.#writing.set(id, own);
    this.#journal.write(statementsFor(put), put.timeMs, own);
  }

  /** Replaces notes; they are there after a crash once this has returned. */
  async note(changes: readonly NoteChange[]): Promise<number> {
    this.#checkNotes(changes);
    const statements = changes.map(({ key, bytes }): Statement => ({ kind: "note", key, bytes }));
    return this.#journal.commit(statements, this.#clock.nowMs());
  }

  /**
   * What to send now: at most `limit` entries, highest lane first, in order within a lane. What
   * was handed out is handed out again only after its lane's answer time. One that waits for a
   * retry holds back those behind it; ask for one at a time if no two may change places.
   */
  next(limit: number, lanes: readonly Lane[] = LANES): readonly WaitingEntry[] {
    const nowMs = this.#clock.nowMs();
    const taken: WaitingEntry[] = [];
    for (const lane of LANES) {
      if (taken.length >= limit) break;
      if (!lanes.includes(lane)) continue;
      taken.push(...this.#state.lanes[lane].take(limit - taken.length, nowMs));
    }
    return taken;
  }

  /** The other side has these; they are not handed out again. Returns how many were waiting. */
  async acknowledge(ids: readonly string[]): Promise<number> {
    const known = ids.filter((id) => this.#state.dead.has(id) || this.#settle(id));
    await Promise.all(
      pieces(known).map((some) => this.#journal.end({ kind: "acknowledged", ids: some })),
    );
    return known.length;
  }

  /**
   * A delivery failed: the entry is tried again after a pause that grows, or given up when its
   * lane allows no more attempts, or at once when the other side will `never` take it.
   */
  async fail(
    id: string,
    why: string,
    { never = false }: { readonly never?: boolean } = {},
  ): Promise<FailureOutcome> {
    while (this.#journal.barrier !== null) await this.#journal.barrier;
    const place = this.#state.waiting(id);
    if (place === undefined || place.settling) return { outcome: "unknown" };
    const attempts = place.attempts + 1;
    const delayMs = never ? null : this.#state.lanes[place.lane].retryDelayAfter(attempts);
    const reason = clip(why);
    if (delayMs === null) {
      this.#settle(id);
      const statements: Statement[] = [{ kind: "dead", ids: [id], why: reason }];
      if (!never) statements.unshift({ kind: "failed", id, attempts, why: reason });
      await this.#journal.end(...statements);
      return { outcome: "dead", attempts };
    }
    await this.#journal.retry(place, { kind: "failed", id, attempts, why: reason });
    return { outcome: "retry", attempts, delayMs };
  }

  /** What was given up for its age or for want of room since this was last asked. */
  takeGivenUp(): readonly GivenUp[] {
    const told = this.#givenUp;
    this.#givenUp = [];
    return told;
  }

  /** Gives up what is too old, forgets what may be forgotten, rewrites the log when it pays. */
  async tidy(): Promise<void> {
    const nowMs = this.#clock.nowMs();
    this.#journal.payOwed(nowMs);
    for (const lane of LANES) {
      const old = this.#state.lanes[lane].expired(nowMs).map(({ id }) => id);
      await this.#giveUp(lane, old, "older than what is kept");
    }
    this.#journal.forget(nowMs);
    const { bytes, uselessBytes } = this.#journal;
    if (uselessBytes > Math.max(COMPACTION_BYTES, bytes / 2)) await this.compact();
  }

  /** Writes the counters: what shows that the log takes records again. */
  async probe(): Promise<void> {
    await this.#journal.snapshot();
  }

  /** Takes everything out of the log that a restart would not need. */
  async compact(): Promise<void> {
    await this.#journal.compact();
  }

  /** True when the entry waits and nobody has settled it yet. */
  #settle(id: string): boolean {
    const place = this.#state.waiting(id);
    if (place === undefined || place.settling) return false;
    this.#state.lanes[place.lane].settle(place);
    return true;
  }

  /** All notes together must fit into one record. */
  #checkNotes(changes: readonly NoteChange[]): void {
    const added = changes.reduce((sum, { bytes }) => sum + (bytes?.byteLength ?? 0), 0);
    const used = added === 0 ? 0 : this.#state.notesBytes;
    if (used + added <= NOTES_BYTES_MAX) return;
    throw new EsperError(
      "BACKLOG_FULL",
      `notes of ${used} bytes and ${added} more are beyond the ${NOTES_BYTES_MAX} allowed`,
      { used, added, allowed: NOTES_BYTES_MAX },
    );
  }

  #makeRoom(lane: Lane, bytes: number): void {
    const queue = this.#state.lanes[lane];
    if (queue.reserve(bytes)) return;
    if (queue.policy.whenFull === "drop-oldest") {
      const oldest = queue.oldest(bytes).map(({ id }) => id);
      // Not waited for: until it is on disk a restart finds the lane fuller than it may be.
      this.#giveUp(lane, oldest, "no room for more").catch((error: unknown) => {
        if (!EsperError.is(error)) throw error;
      });
      if (queue.reserve(bytes)) return;
    }
    const { recordsMax, bytesMax } = queue.policy;
    const { records, bytes: used } = queue.used;
    throw new EsperError(
      "BACKLOG_FULL",
      `the ${lane} lane of the outbox holds ${records} entries and ${used} bytes of ` +
        `${recordsMax} and ${bytesMax} allowed: try again when some were acknowledged`,
      { lane, records, bytes: used, recordsMax, bytesMax },
    );
  }

  async #giveUp(lane: Lane, ids: readonly string[], why: string): Promise<void> {
    const settled = ids.filter((id) => this.#settle(id));
    if (settled.length === 0) return;
    for (const id of settled) this.#givenUp.push({ id, lane, why });
    this.#givenUp = this.#givenUp.slice(-GIVEN_UP_MAX);
    await Promise.all(
      pieces(settled).map((some) => this.#journal.end({ kind: "dead", ids: some, why })),
    );
  }
}

function pieces(ids: readonly string[]): readonly (readonly string[])[] {
  const count = Math.ceil(ids.length / IDS_A_RECORD);
  return Array.from({ length: count }, (_, index) =>
    ids.slice(index * IDS_A_RECORD, (index + 1) * IDS_A_RECORD),
  );
}

/** A reason as long as the log takes one. */
function clip(why: string): string {
  return why.slice(0, 256);
}

/** @throws {RECORD_WITHOUT_TIME} @throws {FRAME_MALFORMED} */
function checkPut({ id, subject, timeMs, notes }: OutboxPut): void {
  if (!Number.isFinite(timeMs) || timeMs <= 0) {
    throw new EsperError(
      "RECORD_WITHOUT_TIME",
      `the record ${id} has the time ${timeMs}: give milliseconds since 1970, above 0`,
      { id, timeMs },
    );
  }
  if (id === "") {
    throw new EsperError("FRAME_MALFORMED", "a record id is empty: give 1 to 1,024 bytes", {});
  }
  checkText(id, "a record id");
  checkText(subject, "a subject");
  if (notes !== undefined) for (const { key } of notes) checkText(key, "a key");
}

function statementsFor({ id, lane, subject, payload, notes }: OutboxPut): readonly Statement[] {
  const entry: EntryStatement = { kind: "entry", id, lane, subject, payload };
  if (notes === undefined || notes.length === 0) return [entry];
  return [entry, ...notes.map(({ key, bytes }): Statement => ({ kind: "note", key, bytes }))];
}

/** A put on its way to the disk, and all who wait for it. */
class Writing implements Receipt {
  readonly #all: Map<string, Writing>;
  readonly #id: string;
  /** Where it has reserved room. */
  readonly #queue: OutboxLane | null;
  readonly #bytes: number;
  readonly #receipt: Receipt;
  #others: Receipt[] | null = null;

  constructor(
    all: Map<string, Writing>,
    id: string,
    queue: OutboxLane | null,
    bytes: number,
    receipt: Receipt,
  ) {
    this.#all = all;
    this.#id = id;
    this.#queue = queue;
    this.#bytes = bytes;
    this.#receipt = receipt;
  }

  /** The same entry was put again. */
  share(receipt: Receipt): void {
    this.#others ??= [];
    this.#others.push(receipt);
  }

  kept(sequence: number): void {
    this.#ended();
    this.#receipt.kept(sequence);
    if (this.#others !== null) for (const other of this.#others) other.kept(sequence);
  }

  refused(error: unknown): void {
    this.#ended();
    this.#receipt.refused(error);
    if (this.#others !== null) for (const other of this.#others) other.refused(error);
  }

  #ended(): void {
    this.#all.delete(this.#id);
    this.#queue?.release(this.#bytes);
  }
}
