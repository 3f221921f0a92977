/** Counts the telemetry events of a drill's actors by their names; runs on the main thread. */
import { defineActor, NissaProtocol } from "esper-runtime";

/** What the writer says when the disk is full, and when there is room again. */
export const NOTED = { degraded: "wal.degraded", recovered: "wal.recovered" } as const;

const counts = new Map<string, number>();

export const eventsNamed = (name: string): number => counts.get(name) ?? 0;

/** Takes the place of the product's collector. */
export const listener = defineActor(import.meta.url, NissaProtocol, {
  setup: () => ({}),
  receive: {
    ingest(_state, { sequence, events }) {
      for (const { name } of events) counts.set(name, eventsNamed(name) + 1);
      return { acknowledged: sequence };
    },
    // Nobody in a drill keeps rows.
    record: (_state, { batch }) => ({ acknowledged: batch }),
    rewind: () => ({ removed: 0 }),
    summary: () => ({ eventsByName: Object.fromEntries(counts), eventsByLevel: {}, rows: 0 }),
  },
});
