/**
 * Judges what a log still holds after its writers were killed, from what they told before: every
 * acknowledged record must be there, every record that is there must have been offered, byte for
 * byte, and each life's records must be its offers in their order without a hole. What was seen
 * once counts as acknowledged from then on. Knows the log only by the records it is shown.
 */
import { keeps, type Name, nameOf, payloadOf } from "./contents.ts";
import type { Told } from "./told.ts";

/** One record as a reader of the log sees it. */
export interface SeenRecord {
  readonly sequence: number;
  readonly timeMs: number;
  readonly payload: Uint8Array;
}

/** What was found wrong, a sentence each, and what was counted. */
export interface Judgement {
  readonly lost: readonly string[];
  readonly phantom: readonly string[];
  readonly disordered: readonly string[];
  /** Records that were there. */
  readonly records: number;
  /** Of these, records that nobody was told of: written when the writer died. */
  readonly unacknowledged: number;
}

interface Life {
  readonly number: number;
  /** Times of the offers, by their index. */
  readonly offers: number[];
  /** Sequences of the acknowledged ones, by index. */
  readonly acknowledged: Map<number, number>;
}

interface Settled extends Name {
  readonly timeMs: number;
}

const text = ({ life, index }: Name): string => `record ${index} of life ${life}`;

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}

class Findings {
  readonly lost: string[] = [];
  readonly phantom: string[] = [];
  readonly disordered: string[] = [];
  unacknowledged = 0;
}

/** The memory of everything that was told about one log. */
export class Oracle {
  readonly #seed: number;
  /** Lives whose records were not looked at yet. */
  #lives: Life[] = [];
  /** What the last look found, by sequence. */
  #settled: ReadonlyMap<number, Settled> = new Map();
  #settledUpTo = 0;
  #prunedBeforeMs = 0;
  #compactedUpTo = 0;
  #lastTimeMs = 0;
  acknowledged = 0;

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** A time later than that of every record offered so far. */
  get nextTimeMs(): number {
    return this.#lastTimeMs + 1;
  }

  /** Takes all that one life of the writer told. */
  hear(life: number, told: readonly Told[]): void {
    const heard: Life = { number: life, offers: [], acknowledged: new Map() };
    for (const { kind, index, value } of told) {
      if (kind === "offer") {
        heard.offers[index] = value;
        this.#lastTimeMs = Math.max(this.#lastTimeMs, value);
      } else if (kind === "acknowledged") heard.acknowledged.set(index, value);
      else if (kind === "prune") this.#prunedBeforeMs = Math.max(this.#prunedBeforeMs, value);
      else if (kind === "compact") this.#compactedUpTo = Math.max(this.#compactedUpTo, value);
    }
    this.acknowledged += heard.acknowledged.size;
    this.#lives.push(heard);
  }

  /** Compares a whole log with what was told; what it shows is expected again at the next look. */
  look(records: readonly SeenRecord[]): Judgement {
    const findings = new Findings();
    const seen = new Map<number, Settled>();
    const fresh: SeenRecord[] = [];
    for (const record of records) {
      if (record.sequence > this.#settledUpTo) fresh.push(record);
      else this.#lookAgain(record, seen, findings);
    }
    for (const [sequence, settled] of this.#settled) {
      if (!seen.has(sequence) && !this.#mayBeGone(settled, sequence)) {
        findings.lost.push(`${text(settled)} was there before, as ${sequence}`);
      }
    }
    this.#lookFirst(fresh, seen, findings);
    this.#settled = seen;
    this.#settledUpTo = Math.max(this.#settledUpTo, ...seen.keys());
    this.#lives = [];
    return { ...findings, records: records.length };
  }

  /** True when the writer had leave to remove it, whether or not it did. */
  #mayBeGone(record: Settled, sequence: number | undefined): boolean {
    if (record.timeMs < this.#prunedBeforeMs) return true;
    // One that nobody acknowledged may have any sequence.
    return !keeps(record) && (sequence ?? 0) <= this.#compactedUpTo;
  }

  #lookAgain(record: SeenRecord, seen: Map<number, Settled>, findings: Findings): void {
    const settled = this.#settled.get(record.sequence);
    const { sequence, timeMs, payload } = record;
    if (seen.has(sequence)) findings.disordered.push(`sequence ${sequence} is there twice`);
    if (settled === undefined) {
      findings.phantom.push(`sequence ${sequence} was gone and is there again`);
      return;
    }
    const same = settled.timeMs === timeMs && sameBytes(payload, payloadOf(this.#seed, settled));
    if (!same) findings.phantom.push(`${text(settled)} (${sequence}) has other bytes than before`);
    seen.set(sequence, settled);
  }

  #lookFirst(records: readonly SeenRecord[], seen: Map<number, Settled>, findings: Findings): void {
    let at = 0;
    for (const life of this.#lives) {
      const own: SeenRecord[] = [];
      for (; at < records.length; at++) {
        const record = records[at];
        if (record === undefined || nameOf(record.payload)?.life !== life.number) break;
        own.push(record);
      }
      this.#lookAtLife(life, own, seen, findings);
    }
    for (const { sequence } of records.slice(at)) {
      findings.phantom.push(`sequence ${sequence} is of a life that offered nothing here`);
    }
  }

  #lookAtLife(
    life: Life,
    records: readonly SeenRecord[],
    seen: Map<number, Settled>,
    findings: Findings,
  ): void {
    let next = 0;
    let lastSequence = 0;
    for (const { sequence, timeMs, payload } of records) {
      const index = nameOf(payload)?.index ?? -1;
      const name = { life: life.number, index };
      const offeredMs = life.offers[index];
      if (offeredMs !== timeMs || !sameBytes(payload, payloadOf(this.#seed, name))) {
        findings.phantom.push(`sequence ${sequence}, called ${text(name)}, was never offered`);
        continue;
      }
      const promised = life.acknowledged.get(index);
      const misplaced = promised !== undefined && promised !== sequence;
      if (index < next || sequence <= lastSequence || misplaced) {
        findings.disordered.push(`${text(name)} stands at ${sequence}, not ${promised ?? "later"}`);
      } else this.#holes(life, next, index, findings);
      if (promised === undefined) findings.unacknowledged += 1;
      next = Math.max(next, index + 1);
      lastSequence = sequence;
      seen.set(sequence, { ...name, timeMs });
    }
    this.#missingEnd(life, next, findings);
  }

  /** Behind the last record that is there only what nobody was told of may be missing. */
  #missingEnd(life: Life, from: number, findings: Findings): void {
    for (const index of life.acknowledged.keys()) {
      if (index >= from) this.#holes(life, index, index + 1, findings);
    }
  }

  /** Records from `from` to before `to` that are not there: acknowledged or not, none may be. */
  #holes(life: Life, from: number, to: number, findings: Findings): void {
    for (let index = from; index < to; index++) {
      const name = { life: life.number, index, timeMs: life.offers[index] ?? 0 };
      if (this.#mayBeGone(name, life.acknowledged.get(index))) continue;
      findings.lost.push(`${text(name)} is missing before one that was appended later`);
    }
  }
}
