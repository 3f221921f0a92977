/**
 * The records of a log that nobody waits for: kept for a time and up to a number of bytes, and the
 * newest ids known, so that one that is sent again is not taken twice. Old ones leave in blocks.
 */

/** Only a recent record can be sent again: at least so many of the newest ids are known. */
const REMEMBERED_IDS = 4_096;
const BLOCK_RECORDS = 1_024;

interface Block {
  lastSequence: number;
  newestTimeMs: number;
  records: number;
  bytes: number;
}

/** How long and how many of them are kept. */
export interface PlainRetention {
  readonly keepMs: number;
  readonly keepBytes: number;
}

/** What is known of the records without a lane. */
export class PlainRecords {
  readonly #retention: PlainRetention;
  /** The newest ids, and those before them: a whole map is forgotten at once, at no cost. */
  #known = new Map<string, number>();
  #before = new Map<string, number>();
  readonly #blocks: Block[] = [];
  #bytes = 0;
  /** Records up to this one are no longer kept. */
  #gone = 0;

  constructor(retention: PlainRetention) {
    this.#retention = retention;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get records(): number {
    return this.#blocks.reduce((sum, { records }) => sum + records, 0);
  }

  sequenceOf(id: string): number | undefined {
    return this.#known.get(id) ?? this.#before.get(id);
  }

  keeps(sequence: number): boolean {
    return sequence > this.#gone;
  }

  add(id: string, sequence: number, timeMs: number, bytes: number): void {
    this.#known.set(id, sequence);
    if (this.#known.size >= REMEMBERED_IDS) {
      this.#before = this.#known;
      this.#known = new Map();
    }
    this.#bytes += bytes;
    const last = this.#blocks.at(-1);
    if (last === undefined || last.records >= BLOCK_RECORDS) {
      this.#blocks.push({ lastSequence: sequence, newestTimeMs: timeMs, records: 1, bytes });
      return;
    }
    last.lastSequence = sequence;
    last.newestTimeMs = Math.max(last.newestTimeMs, timeMs);
    last.records += 1;
    last.bytes += bytes;
  }

  /** Lets whole blocks go that are too old or too much. */
  forget(nowMs: number): void {
    const { keepMs, keepBytes } = this.#retention;
    for (;;) {
      const [oldest] = this.#blocks;
      if (oldest === undefined) return;
      const tooOld = oldest.newestTimeMs + keepMs < nowMs;
      if (!tooOld && this.#bytes <= keepBytes) return;
      this.#blocks.shift();
      this.#bytes -= oldest.bytes;
      this.#gone = oldest.lastSequence;
    }
  }
}
