/**
 * What the collector has committed: how much of each file counts, and the last batch of every
 * sender. A batch counts when its journal line is whole; bytes of a batch without one are cut off
 * at the next start and the sender sends it again. Pure.
 */
import { z } from "zod";
import type { TelemetrySummary } from "../../protocols/actors/durable.ts";
import { canonicalJson } from "../../protocols/leyline/artifact.ts";
import { Tally } from "./tally.ts";

const count = z.int().nonnegative();
const counts = z.record(z.string(), count);
const sizesSchema = z.strictObject({ events: count, metrics: count, runtime: count });

/** Bytes of each file that count. */
export type Sizes = z.infer<typeof sizesSchema>;

const entrySchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("state"),
    sizes: sizesSchema,
    sources: z.array(z.tuple([z.string(), count])),
    incarnation: count,
    batch: count,
    rewound: count,
    summary: z.strictObject({ eventsByName: counts, eventsByLevel: counts, rows: count }),
  }),
  z.strictObject({
    kind: z.literal("ingest"),
    sizes: sizesSchema,
    source: z.string(),
    sequence: count,
    byName: counts,
    byLevel: counts,
  }),
  z.strictObject({
    kind: z.literal("record"),
    sizes: sizesSchema,
    incarnation: count,
    batch: count,
    rows: count,
  }),
  /** Said before the rows are rewritten, so that a start after a crash finishes it. */
  z.strictObject({ kind: z.literal("rewind"), step: count, incarnation: count }),
]);
export type JournalEntry = z.infer<typeof entrySchema>;
export type RewindEntry = Extract<JournalEntry, { readonly kind: "rewind" }>;

/** Senders remembered at once; the one that was silent longest is forgotten first. */
const MAX_SOURCES = 4_096;

/** The state that the entries add up to. */
export class Ledgered {
  readonly #sources = new Map<string, number>();
  #tally = new Tally();
  sizes: Sizes = { events: 0, metrics: 0, runtime: 0 };
  incarnation = 0;
  batch = 0;
  /** The last incarnation that rewound the rows. */
  rewound = 0;
  /** A rewind that was said but not finished. */
  unfinished: RewindEntry | null = null;

  /** The last sequence number taken from this sender; 0 for a new one. */
  lastSequence(source: string): number {
    return this.#sources.get(source) ?? 0;
  }

  summary(): TelemetrySummary {
    return this.#tally.summary();
  }

  setRows(rows: number): void {
    this.#tally.rows = rows;
  }

  apply(entry: JournalEntry): void {
    switch (entry.kind) {
      case "state":
        this.#restore(entry);
        break;
      case "ingest":
        this.sizes = entry.sizes;
        this.#heard(entry.source, entry.sequence);
        this.#tally.addEvents(entry.byName, entry.byLevel);
        break;
      case "record":
        this.sizes = entry.sizes;
        this.incarnation = entry.incarnation;
        this.batch = entry.batch;
        this.#tally.rows += entry.rows;
        break;
      case "rewind":
        this.unfinished = entry;
        break;
    }
  }

  /** Everything as one entry. */
  state(): JournalEntry {
    return {
      kind: "state",
      sizes: this.sizes,
      sources: [...this.#sources],
      incarnation: this.incarnation,
      batch: this.batch,
      rewound: this.rewound,
      summary: this.summary(),
    };
  }

  #restore(entry: Extract<JournalEntry, { readonly kind: "state" }>): void {
    this.sizes = entry.sizes;
    this.incarnation = entry.incarnation;
    this.batch = entry.batch;
    this.rewound = entry.rewound;
    this.unfinished = null;
    this.#tally = new Tally(entry.summary);
    this.#sources.clear();
    for (const [source, sequence] of entry.sources) this.#sources.set(source, sequence);
  }

  #heard(source: string, sequence: number): void {
    // Taken out first, so that the map's order is the order of the last word.
    this.#sources.delete(source);
    this.#sources.set(source, sequence);
    if (this.#sources.size <= MAX_SOURCES) return;
    const oldest = this.#sources.keys().next();
    if (oldest.done !== true) this.#sources.delete(oldest.value);
  }
}

/** One journal line, without the newline. */
export function encodeEntry(entry: JournalEntry): string {
  return canonicalJson(entry);
}

function parse(line: string): JournalEntry | null {
  try {
    return entrySchema.safeParse(JSON.parse(line)).data ?? null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Adds up the lines; `damagedAt` is the number (from 1) of the first line that makes no sense. */
export function replay(lines: readonly string[]): { ledgered: Ledgered; damagedAt: number | null } {
  const ledgered = new Ledgered();
  for (const [index, line] of lines.entries()) {
    const entry = parse(line);
    if (entry === null) return { ledgered, damagedAt: index + 1 };
    ledgered.apply(entry);
  }
  return { ledgered, damagedAt: null };
}
