/** Counts of what was collected, by event name and level. Bounded: rare names share one row. */
import type { TelemetrySummary } from "../../protocols/actors/durable.ts";

const MAX_NAMES = 1_024;
const OTHER = "(other)";

export type Counts = Readonly<Record<string, number>>;

/** How often each key occurs. */
export function countBy<T>(items: readonly T[], keyOf: (item: T) => string): Counts {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(keyOf(item), (counts.get(keyOf(item)) ?? 0) + 1);
  return Object.fromEntries(counts);
}

export class Tally {
  readonly #byName: Map<string, number>;
  readonly #byLevel: Map<string, number>;
  rows: number;

  constructor(start: TelemetrySummary = { eventsByName: {}, eventsByLevel: {}, rows: 0 }) {
    this.#byName = new Map(Object.entries(start.eventsByName));
    this.#byLevel = new Map(Object.entries(start.eventsByLevel));
    this.rows = start.rows;
  }

  addEvents(byName: Counts, byLevel: Counts): void {
    for (const [name, count] of Object.entries(byName)) {
      const isKnown = this.#byName.has(name) || this.#byName.size < MAX_NAMES;
      const key = isKnown ? name : OTHER;
      this.#byName.set(key, (this.#byName.get(key) ?? 0) + count);
    }
    for (const [level, count] of Object.entries(byLevel)) {
      this.#byLevel.set(level, (this.#byLevel.get(level) ?? 0) + count);
    }
  }

  summary(): TelemetrySummary {
    const sorted = (counts: Map<string, number>): Counts =>
      Object.fromEntries([...counts].sort(([left], [right]) => (left < right ? -1 : 1)));
    return {
      eventsByName: sorted(this.#byName),
      eventsByLevel: sorted(this.#byLevel),
      rows: this.rows,
    };
  }
}
