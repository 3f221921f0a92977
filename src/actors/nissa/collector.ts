/**
 * Keeps events.jsonl, metrics.jsonl and runtime.jsonl of a run. Every batch is taken exactly once,
 * whole or not at all, across crashes of the collector. Metric rows are on disk before they are
 * acknowledged; telemetry survives a crash of the process, not a power failure.
 */
import type {
  MetricRow,
  TelemetryBatch,
  TelemetrySummary,
} from "../../protocols/actors/durable.ts";
import type { Files } from "../../runtime/durable/files.ts";
import { encodeLines, JsonLines, wholeLines } from "../../runtime/durable/json-lines.ts";
import {
  encodeEntry,
  type JournalEntry,
  type Ledgered,
  type RewindEntry,
  replay,
  type Sizes,
} from "./journal.ts";
import { eventLines, pointLines, rowLines, rowsUpTo } from "./rows.ts";
import { countBy } from "./tally.ts";

const JOURNAL = "nissa.journal";
/** The journal is folded into one line when it has grown to this size. */
const JOURNAL_BYTES = 1_048_576;

/** What an open found to be other than it was left. */
export interface CollectorRepair {
  readonly file: string;
  readonly why: string;
}

export class Collector {
  readonly #ledgered: Ledgered;
  readonly #events: JsonLines;
  readonly #metrics: JsonLines;
  readonly #runtime: JsonLines;
  readonly #journal: JsonLines;
  readonly repairs: readonly CollectorRepair[];

  private constructor(
    ledgered: Ledgered,
    opened: { events: JsonLines; metrics: JsonLines; runtime: JsonLines; journal: JsonLines },
    repairs: readonly CollectorRepair[],
  ) {
    this.#ledgered = ledgered;
    this.#events = opened.events;
    this.#metrics = opened.metrics;
    this.#runtime = opened.runtime;
    this.#journal = opened.journal;
    this.repairs = repairs;
  }

  /** Opens the files, cuts off what no journal line vouches for, and finishes a begun rewind. */
  static async open(files: Files, directory: string): Promise<Collector> {
    await files.makeDirectory(directory);
    const opened: JsonLines[] = [];
    const open = async (name: string, knownBytes: number | null): Promise<JsonLines> => {
      const file = await JsonLines.open(files, `${directory}/${name}`, knownBytes);
      opened.push(file);
      return file;
    };
    try {
      const collector = await Collector.#restore(open);
      await files.syncDirectory(directory);
      return collector;
    } catch (error) {
      // All are closed, and the caller sees what went wrong first.
      await Promise.allSettled(opened.map((file) => file.close()));
      throw error;
    }
  }

  static async #restore(
    open: (name: string, knownBytes: number | null) => Promise<JsonLines>,
  ): Promise<Collector> {
    const journal = await open(JOURNAL, null);
    const lines = wholeLines(await journal.read());
    const { ledgered, damagedAt } = replay(lines);
    const { sizes, unfinished } = ledgered;
    const repairs: CollectorRepair[] = [];
    if (damagedAt !== null) {
      repairs.push({ file: journal.path, why: `line ${damagedAt} makes no sense` });
    }
    // Without a trustworthy journal every whole line is kept: better twice than lost.
    const isTrusted = lines.length > 0 && damagedAt === null;
    const openCommitted = async (name: keyof Sizes): Promise<JsonLines> => {
      const mayDiffer = !isTrusted || (name === "metrics" && unfinished !== null);
      const known = mayDiffer ? null : sizes[name];
      const file = await open(`${name}.jsonl`, known);
      if (known !== null && file.size !== known) {
        const why = `${known - file.size} committed bytes are missing`;
        repairs.push({ file: file.path, why });
      }
      return file;
    };
    const events = await openCommitted("events");
    const metrics = await openCommitted("metrics");
    const runtime = await openCommitted("runtime");
    const collector = new Collector(ledgered, { events, metrics, runtime, journal }, repairs);
    if (unfinished === null) await collector.#fold();
    else await collector.#settle();
    return collector;
  }

  /** Takes a batch of telemetry, or nothing of it. Returns the last sequence taken. */
  async ingest(batch: TelemetryBatch, nowMs: number): Promise<number> {
    const { source, sequence, events, metrics } = batch;
    await this.#settle();
    const last = this.#ledgered.lastSequence(source);
    if (sequence <= last) return last;
    await this.#commit(async () => {
      await this.#events.append(eventLines(events));
      await this.#runtime.append(pointLines(metrics, nowMs));
      return {
        kind: "ingest",
        source,
        sequence,
        sizes: this.#sizes(),
        byName: countBy(events, (event) => event.name),
        byLevel: countBy(events, (event) => event.level),
      };
    });
    return sequence;
  }

  /** Takes a batch of metric rows, or nothing of it; on disk when it returns. */
  async record(incarnation: number, batch: number, rows: readonly MetricRow[]): Promise<number> {
    await this.#settle();
    const known = this.#ledgered;
    // Rows of an incarnation that was given up are acknowledged and forgotten.
    if (incarnation < Math.max(known.incarnation, known.rewound)) return batch;
    if (incarnation === known.incarnation && batch <= known.batch) return known.batch;
    await this.#commit(async () => {
      await this.#metrics.append(rowLines(rows));
      await this.#metrics.sync();
      const sizes = this.#sizes();
      return { kind: "record", incarnation, batch, rows: rows.length, sizes };
    });
    await this.#journal.sync();
    return batch;
  }

  /** Removes rows of later steps. Does nothing when this incarnation has rewound already. */
  async rewind(step: number, incarnation: number): Promise<number> {
    await this.#settle();
    if (incarnation <= this.#ledgered.rewound) return 0;
    const entry: RewindEntry = { kind: "rewind", step, incarnation };
    await this.#journal.append(encodeLines([encodeEntry(entry)]));
    this.#ledgered.apply(entry);
    await this.#journal.sync();
    return this.#settle();
  }

  summary(): TelemetrySummary {
    return this.#ledgered.summary();
  }

  /** Everything on disk, then closed. */
  async close(): Promise<void> {
    const opened = [this.#events, this.#metrics, this.#runtime, this.#journal];
    const results = await Promise.allSettled(
      opened.map((file) => file.sync().finally(() => file.close())),
    );
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  #sizes(): Ledgered["sizes"] {
    return {
      events: this.#events.size,
      metrics: this.#metrics.size,
      runtime: this.#runtime.size,
    };
  }

  /** Appends, then vouches for it in the journal; takes all of it back when either fails. */
  async #commit(append: () => Promise<JournalEntry>): Promise<void> {
    const before = this.#sizes();
    try {
      const entry = await append();
      await this.#journal.append(encodeLines([encodeEntry(entry)]));
      this.#ledgered.apply(entry);
    } catch (error) {
      await this.#events.cutBack(before.events);
      await this.#metrics.cutBack(before.metrics);
      await this.#runtime.cutBack(before.runtime);
      throw error;
    }
    if (this.#journal.size > JOURNAL_BYTES) await this.#fold();
  }

  /** Finishes a rewind that was said; repeatable, whether a crash or a full disk stopped it. */
  async #settle(): Promise<number> {
    const { unfinished } = this.#ledgered;
    if (unfinished === null) return 0;
    const { kept, keptRows, removed } = rowsUpTo(await this.#metrics.read(), unfinished.step);
    if (removed > 0) await this.#metrics.replace(kept);
    this.#ledgered.setRows(keptRows);
    this.#ledgered.rewound = unfinished.incarnation;
    await this.#fold();
    return removed;
  }

  /** Replaces the journal by one line with the whole state. */
  async #fold(): Promise<void> {
    this.#ledgered.sizes = this.#sizes();
    await this.#journal.replace(encodeLines([encodeEntry(this.#ledgered.state())]));
    this.#ledgered.unfinished = null;
  }
}
