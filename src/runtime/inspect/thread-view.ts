/** One thread as the inspector finds it: shared memory that stays readable while it hangs. */
import type { Credits } from "../thread/credits.ts";
import type { StatsTable } from "../thread/stats.ts";
import type { ThreadBlock } from "../wire/thread-block.ts";

export interface ThreadView {
  readonly thread: string;
  readonly threadId: number;
  /** Counts the starts of the thread. */
  readonly epoch: number;
  readonly phase: "loading" | "ready" | "dead";
  readonly block: ThreadBlock;
  readonly credits: Credits;
  readonly stats: StatsTable;
  /** Its rings, by lane, by the id of the thread that reads them. */
  readonly rings: ReadonlyMap<number, readonly SharedArrayBuffer[]>;
  /** How long its loop has waited and worked, ever. */
  readonly loop: { readonly idleMs: number; readonly busyMs: number };
  /** How long its heartbeat has stood still although it was asked to beat. */
  readonly silentMs: number;
}
