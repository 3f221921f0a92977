/**
 * How a job's token reaches another thread: the only file of the pool that knows the wire form of a
 * token. A process shares no memory, so there a notice takes the word's place.
 */
import { threadId } from "node:worker_threads";
import { CancellationToken } from "../token.ts";
import {
  adoptOwnTable,
  attachTable,
  ownTable,
  type TokenHandle,
  tokenTableMemory,
} from "../token-table.ts";

/** The wire form of a token, as structured clone carries it. */
export type Crossing = TokenHandle;

/** What a thread must be given before the first token. */
export interface Tables {
  readonly id: number;
  readonly memory: SharedArrayBuffer;
}

/** The table of the thread that opens the pool. */
export function tablesToSend(): Tables {
  const { id, memory } = ownTable();
  return { id, memory };
}

/** Makes the opener's tokens known in a thread of the pool, which no actor runs in. */
export function receiveTables({ id, memory }: Tables): void {
  // The runtime numbers its threads from zero up; a negative number is never one of them.
  adoptOwnTable(-threadId, tokenTableMemory());
  attachTable(id, memory);
}

/** The wire form of a job's token. @throws {TOKEN_LIMIT} when too many are on their way. */
export function crossingOf(token: CancellationToken): Crossing {
  return token.lend();
}

/** The token in the worker: the same one when it crossed, else one that only notices can set. */
export function arrived(crossing: Crossing | null, deadlineAtMs: number): CancellationToken {
  return crossing === null
    ? new CancellationToken({ deadlineAtMs })
    : CancellationToken.attach(crossing);
}
