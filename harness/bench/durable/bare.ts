/**
 * The other side of the bench: what a program without a log does with the same bytes. Synchronous
 * calls, one after another, because nothing in this language writes and syncs faster.
 */
import { closeSync, fdatasyncSync, fsyncSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Latencies, type Percentiles } from "../runtime/histogram.ts";

/** What stands before the bytes of a record on disk. */
const HEADER_BYTES = 56;

/** What a record of so many bytes takes on disk. */
export const frameBytes = (bytes: number): number => HEADER_BYTES + bytes;

export type Sync = "fsync" | "fdatasync";

const SYNC = { fsync: fsyncSync, fdatasync: fdatasyncSync } as const;

export interface BareRequest {
  readonly directory: string;
  readonly sync: Sync;
  readonly bytes: number;
  readonly writes: number;
}

export interface BareFigures {
  /** Writes a second, each on the device before the next. */
  readonly rate: number;
  /** Of one write with its sync, in microseconds. */
  readonly percentiles: Percentiles;
}

/** Writes at the end of a growing file and waits for the device each time. */
export function writeBare({ directory, sync, bytes, writes }: BareRequest): BareFigures {
  const path = join(directory, "bare");
  const file = openSync(path, "w");
  const block = new Uint8Array(bytes).fill(0x5a);
  const latencies = new Latencies();
  const startedMs = performance.now();
  try {
    for (let write = 0; write < writes; write++) {
      const begunMs = performance.now();
      for (let done = 0; done < bytes; ) {
        done += writeSync(file, block, done, bytes - done, write * bytes + done);
      }
      SYNC[sync](file);
      latencies.record(1_000 * (performance.now() - begunMs));
    }
  } finally {
    closeSync(file);
    rmSync(path);
  }
  const rate = (1_000 * writes) / (performance.now() - startedMs);
  return { rate, percentiles: latencies.percentiles() };
}
