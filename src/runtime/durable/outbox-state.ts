/**
 * What the statements of a log with an outbox add up to. Live changes and the replay at the start
 * go through the same `apply`, so a restart finds what was there before. Pure; bounded by the
 * lanes' rooms and by what is remembered of settled entries.
 */
import { LANES, type Lane } from "../../protocols/protocol.ts";
import { OutboxLane } from "./outbox-lane.ts";
import { PlainRecords } from "./outbox-plain.ts";
import type { LanePolicy } from "./outbox-policy.ts";
import type { EntryStatement, LaneTotals, Statement } from "./outbox-record.ts";

/** An entry that was given up, with the reason. Its payload stays in the log. */
export interface DeadLetterEntry {
  readonly id: string;
  readonly lane: Lane;
  readonly subject: string;
  readonly timeMs: number;
  readonly attempts: number;
  readonly why: string;
  readonly diedAtMs: number;
  readonly sequence: number;
  readonly bytes: number;
}

/** How much is remembered of entries that need nothing any more. */
export interface Retention {
  /** Settled entries and plain records leave the log when they are older than this. */
  readonly keepMs: number;
  /** Settled entries at most, and bytes of settled and of plain records. */
  readonly keepRecords: number;
  readonly keepBytes: number;
  /** Dead letters at most; older ones count as settled. */
  readonly deadMax: number;
}

/** A settled entry: its id is known, so that it is not taken twice. */
interface Settled {
  readonly sequence: number;
  readonly timeMs: number;
  readonly bytes: number;
}

/** The newest value of a note and the record that says it. */
export interface Note {
  readonly bytes: Uint8Array;
  readonly sequence: number;
}

/** What a record takes beside its payload, and its share of what was said about it later. */
const OVERHEAD_BYTES = 192;

type Of<K extends Statement["kind"]> = Extract<Statement, { kind: K }>;

/** Everything that is known of the entries, the notes and the counters of one log. */
export class OutboxState {
  readonly lanes: Readonly<Record<Lane, OutboxLane>>;
  readonly notes = new Map<string, Note>();
  readonly dead = new Map<string, DeadLetterEntry>();
  readonly plain: PlainRecords;
  readonly #retention: Retention;
  readonly #settled = new Map<string, Settled>();
  #settledBytes = 0;

  constructor(policies: Readonly<Record<Lane, LanePolicy>>, retention: Retention) {
    const lane = (name: Lane): OutboxLane => new OutboxLane(policies[name]);
    this.lanes = {
      system: lane("system"),
      emergency: lane("emergency"),
      control: lane("control"),
      bulk: lane("bulk"),
    };
    this.#retention = retention;
    this.plain = new PlainRecords(retention);
  }

  /** The record of an id that is known, or undefined. */
  sequenceOf(id: string): number | undefined {
    const found = this.waiting(id) ?? this.dead.get(id) ?? this.#settled.get(id);
    return found?.sequence ?? this.plain.sequenceOf(id);
  }

  waiting(id: string): ReturnType<OutboxLane["get"]> {
    const { system, emergency, control, bulk } = this.lanes;
    return bulk.get(id) ?? control.get(id) ?? emergency.get(id) ?? system.get(id);
  }

  /** About how many bytes the log must keep. */
  get liveBytes(): number {
    let bytes = this.#settledBytes + this.plain.bytes + this.notesBytes;
    let records = this.#settled.size + this.dead.size + this.plain.records;
    for (const letter of this.dead.values()) bytes += letter.bytes;
    for (const lane of LANES) {
      bytes += this.lanes[lane].bytes;
      records += this.lanes[lane].records;
    }
    return bytes + records * OVERHEAD_BYTES;
  }

  get notesBytes(): number {
    let bytes = 0;
    for (const note of this.notes.values()) bytes += note.bytes.byteLength;
    return bytes;
  }

  get totals(): Readonly<Record<Lane, LaneTotals>> {
    const { system, emergency, control, bulk } = this.lanes;
    return {
      system: system.totals,
      emergency: emergency.totals,
      control: control.totals,
      bulk: bulk.totals,
    };
  }

  /** Takes in what a record says, in the order of the records. */
  apply(statements: readonly Statement[], sequence: number, timeMs: number): void {
    for (const statement of statements) this.#applyOne(statement, sequence, timeMs);
  }

  #applyOne(statement: Statement, sequence: number, timeMs: number): void {
    switch (statement.kind) {
      case "entry":
        this.#entry(statement, sequence, timeMs);
        return;
      case "acknowledged":
        this.#acknowledged(statement);
        return;
      case "failed":
        this.#failed(statement, sequence, timeMs);
        return;
      case "dead":
        this.#died(statement, timeMs);
        return;
      case "note":
        if (statement.bytes === null) this.notes.delete(statement.key);
        else this.notes.set(statement.key, { bytes: statement.bytes, sequence });
        return;
      case "totals":
        for (const lane of LANES) this.lanes[lane].totals = statement.lanes[lane];
        // The notes that still count follow in the same record.
        this.notes.clear();
        return;
    }
  }

  #entry({ id, lane, subject, payload }: EntryStatement, sequence: number, timeMs: number): void {
    if (this.sequenceOf(id) !== undefined) return;
    if (lane === null) {
      this.plain.add(id, sequence, timeMs, payload.byteLength);
      return;
    }
    this.lanes[lane].add({
      ...{ id, lane, subject, timeMs, payload, sequence },
      ...{ attempts: 0, failedAtMs: 0, failSequence: 0, sentAtMs: null, settling: false },
    });
    this.lanes[lane].count("accepted");
  }

  #acknowledged({ ids }: Of<"acknowledged">): void {
    for (const id of ids) {
      const waiting = this.waiting(id);
      if (waiting !== undefined) {
        this.lanes[waiting.lane].remove(id);
        this.lanes[waiting.lane].count("acknowledged");
        this.#remember(id, waiting.sequence, waiting.timeMs, waiting.payload.byteLength);
        continue;
      }
      // The reader got it after all.
      const letter = this.dead.get(id);
      if (letter === undefined) continue;
      this.dead.delete(id);
      this.lanes[letter.lane].count("acknowledged");
      this.#remember(id, letter.sequence, letter.timeMs, letter.bytes);
    }
  }

  #failed({ id, attempts }: Of<"failed">, sequence: number, timeMs: number): void {
    const place = this.waiting(id);
    if (place === undefined) return;
    place.attempts = attempts;
    place.failedAtMs = timeMs;
    place.failSequence = sequence;
    place.sentAtMs = null;
    this.lanes[place.lane].count("retries");
  }

  #died({ ids, why }: Of<"dead">, diedAtMs: number): void {
    for (const id of ids) {
      const place = this.waiting(id);
      if (place === undefined) continue;
      const { lane, subject, timeMs, attempts, sequence, payload } = place;
      this.lanes[lane].remove(id);
      this.lanes[lane].count("dead");
      const bytes = payload.byteLength;
      const letter = { id, lane, subject, timeMs, attempts, why, diedAtMs, sequence, bytes };
      this.dead.set(id, letter);
    }
    while (this.dead.size > this.#retention.deadMax) this.#buryOldest();
  }

  #buryOldest(): void {
    const oldest = this.dead.values().next();
    if (oldest.done === true) return;
    const { id, sequence, timeMs, bytes } = oldest.value;
    this.dead.delete(id);
    this.#remember(id, sequence, timeMs, bytes);
  }

  #remember(id: string, sequence: number, timeMs: number, bytes: number): void {
    this.#settled.set(id, { sequence, timeMs, bytes });
    this.#settledBytes += bytes;
  }

  /** Forgets what is settled and too old or too much. */
  forget(nowMs: number): void {
    const { keepMs, keepRecords, keepBytes } = this.#retention;
    for (const [id, { timeMs, bytes }] of this.#settled) {
      const tooMuch = this.#settled.size > keepRecords || this.#settledBytes > keepBytes;
      if (!tooMuch && timeMs + keepMs >= nowMs) break;
      this.#settled.delete(id);
      this.#settledBytes -= bytes;
    }
    this.plain.forget(nowMs);
  }

  /** More is remembered than the retention allows. */
  get remembersTooMuch(): boolean {
    const { keepRecords, keepBytes } = this.#retention;
    return this.#settled.size > keepRecords || this.#settledBytes > keepBytes;
  }

  /** True when a record must stay in the log for the sake of this statement. */
  needs(statement: Statement, sequence: number): boolean {
    switch (statement.kind) {
      case "entry":
        return statement.lane === null
          ? this.plain.keeps(sequence)
          : this.sequenceOf(statement.id) === sequence;
      // As long as the entry is there: without this it would wait again after a restart.
      case "acknowledged":
      case "dead":
        return statement.ids.some((id) => this.sequenceOf(id) !== undefined);
      case "failed":
        return this.waiting(statement.id)?.failSequence === sequence;
      case "note":
        return this.notes.get(statement.key)?.sequence === sequence;
      case "totals":
        return false;
    }
  }
}
