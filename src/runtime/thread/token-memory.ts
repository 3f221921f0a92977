/** The token tables of the threads that this thread starts. */
import { ownTable, tokenTableMemory } from "../token-table.ts";

/** The memory of one table; the id names it in every thread that was told of it. */
export interface TokenMemory {
  readonly id: number;
  readonly memory: SharedArrayBuffer;
}

let lastId = 0;

/** A table for a thread about to start. */
export function newTokenMemory(): TokenMemory {
  lastId += 1;
  return { id: lastId, memory: tokenTableMemory() };
}

/** The table of this thread. */
export function ownTokenMemory(): TokenMemory {
  const { id, memory } = ownTable();
  return { id, memory };
}
