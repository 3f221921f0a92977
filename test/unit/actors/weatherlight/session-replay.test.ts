/** A run that restarts more than once within one process repeats every miss it has ever had. */
import { expect, it } from "vitest";
import type { RunOrder } from "../../../../src/protocols/actors/growth.ts";
import { systemClock } from "../../../../src/runtime/clock.ts";
import { CheckpointStore } from "../../../../src/runtime/durable/checkpoint-store.ts";
import { RunSession } from "../../../../src/runtime/run/session.ts";
import { MemoryFiles } from "../../../fixtures/memory-files.ts";

it("keeps a miss that a rewind has taken off the disk again", async () => {
  // The second restart comes before the trainer has passed step 96 a second time.
  const onDisk = [[48, 96], [48], [48, 112]];
  const session = new RunSession({
    order: {
      identity: { runId: "run", incarnation: 1, seed: 1 },
      checkpoint: null,
      missedDecisions: [16],
    } as unknown as RunOrder,
    store: new CheckpointStore(new MemoryFiles(), "/run/checkpoints"),
    observer: { on: () => undefined },
    clock: systemClock,
    saveIncarnation: async () => undefined,
    readMisses: async () => onDisk.shift() ?? [],
  });
  expect((await session.nextOrder(1))?.missedDecisions).toEqual([16]);
  expect((await session.nextOrder(2))?.missedDecisions).toEqual([16, 48, 96]);
  expect((await session.nextOrder(3))?.missedDecisions).toEqual([16, 48, 96]);
  expect((await session.nextOrder(4))?.missedDecisions).toEqual([16, 48, 96, 112]);
});
