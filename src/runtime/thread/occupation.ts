/** What a thread does for an actor besides handling its messages, as its block shows it. */
import type { Clock } from "../clock.ts";
import type { ThreadBlock } from "../wire/thread-block.ts";

/** Stand in the place of the index of a message, which is from 0. */
export const OCCUPATION = { setup: -1, stop: -2, timer: -3 } as const;
type Occupation = (typeof OCCUPATION)[keyof typeof OCCUPATION];

/** Runs `work` while the block shows the actor with row `index` as busy with it. */
export function occupied<T>(
  block: ThreadBlock,
  clock: Clock,
  index: number,
  kind: Occupation,
  work: () => T,
): T {
  block.enter(index, kind, clock.monotonicMs());
  try {
    return work();
  } finally {
    block.leave();
  }
}
