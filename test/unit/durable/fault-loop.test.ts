import { describe, expect, it } from "vitest";
import { exploreSeeds } from "../../../harness/sim/durable/exploration.ts";
import {
  ERRNOS,
  everyCallCrashes,
  everyCallFails,
  RESTARTS,
} from "../../../harness/sim/durable/fault-loop.ts";
import { DURABLE_WORKLOADS } from "../../../harness/sim/durable/workloads.ts";

/** What stands on the log sees two kinds of failure; the log is tested with every errno. */
const ON_THE_LOG = ["outbox", "ledger"];

const seedsFor = (name: string): number => (ON_THE_LOG.includes(name) ? 150 : 500);

function errnosFor(name: string, persistent: boolean): readonly string[] {
  if (!ON_THE_LOG.includes(name)) return ERRNOS;
  return persistent ? ["EIO"] : ["EIO", "ENOSPC"];
}

/** For a machine that is busy with other tests. */
const LIMIT_MS = 120_000;

describe.each(DURABLE_WORKLOADS.map((workload) => [workload.name, workload] as const))(
  "%s on a disk that fails",
  (name, workload) => {
    it.each([
      ["once, on a new disk", false, 0],
      ["from then on, where it has lived before", true, 1],
    ])(
      "keeps its promises whichever call fails %s",
      async (_how, persistent, livesBefore) => {
        for (const errno of errnosFor(name, persistent)) {
          const fault = { errno, persistent };
          const { points, restarts } = await everyCallFails(workload, fault, { livesBefore });
          expect(points, errno).toBeGreaterThan(20);
          expect(restarts, errno).toBe(RESTARTS * points);
        }
      },
      LIMIT_MS,
    );

    it(
      "keeps its promises before whichever call the power is lost",
      async () => {
        for (const livesBefore of [0, 1]) {
          const { points, restarts } = await everyCallCrashes(workload, { livesBefore });
          expect(points).toBeGreaterThan(20);
          expect(restarts).toBe(RESTARTS * points);
        }
      },
      LIMIT_MS,
    );

    it(
      "keeps its promises in random histories of faults, kills and power losses",
      async () => {
        const count = seedsFor(name);
        const { calls } = await exploreSeeds(workload, { first: 1, count });
        expect(calls).toBeGreaterThan(10 * count);
      },
      LIMIT_MS,
    );
  },
);
