/**
 * Makes a log of a given size, or opens one and reads it, in a process that holds nothing else.
 * Prints what it took as one line of JSON.
 *
 *   node recovery-side.js make <directory> <bytes>
 *   node recovery-side.js open <directory>
 */
import { readFileSync, writeFileSync } from "node:fs";
import { systemFiles, Wal } from "esper-runtime";
import type { Opened } from "./recovery.ts";

const [what, directory = "", bytesText] = process.argv.slice(2);
const PAYLOAD_BYTES = 1_024;
const AT_ONCE = 2_048;
const KIB = 1_024;
/** Makes the kernel forget the highest resident memory so far. */
const FORGET_PEAK = "5";

/** The highest resident memory since it was last forgotten, in bytes. */
function peakBytes(): number {
  const found = /VmHWM:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"));
  if (found === null) throw new Error("/proc/self/status names no VmHWM");
  return Number(found[1]) * KIB;
}

/** Pages that compress to nothing or repeat would flatter a disk. */
function fillPayload(payload: Uint8Array, number: number): void {
  let word = (number * 2_654_435_761) >>> 0;
  const words = new Uint32Array(payload.buffer, payload.byteOffset, payload.byteLength / 4);
  for (let at = 0; at < words.length; at++) {
    word = (Math.imul(word, 1_664_525) + 1_013_904_223) >>> 0;
    words[at] = word;
  }
}

async function make(bytes: number): Promise<number> {
  const wal = await Wal.open({ files: systemFiles, directory });
  const payload = new Uint8Array(PAYLOAD_BYTES);
  let number = 0;
  while (wal.status.bytes < bytes) {
    const batch = Array.from({ length: AT_ONCE }, () => {
      fillPayload(payload, ++number);
      return wal.append({ timeMs: number, payload });
    });
    await Promise.all(batch);
  }
  await wal.close();
  return number;
}

async function open(): Promise<Opened> {
  void globalThis.gc?.();
  writeFileSync("/proc/self/clear_refs", FORGET_PEAK);
  const restingBytes = peakBytes();
  const startedMs = performance.now();
  const wal = await Wal.open({ files: systemFiles, directory });
  const openMs = performance.now() - startedMs;
  const openedBytes = peakBytes();
  const { bytes, records } = wal.status;
  let read = 0;
  const readStartedMs = performance.now();
  for await (const { sequence } of wal.read()) {
    read += 1;
    if (sequence !== read) throw new Error(`record ${read} has the sequence ${sequence}`);
  }
  const readMs = performance.now() - readStartedMs;
  await wal.close();
  if (read !== records) throw new Error(`${records} records were found and ${read} read`);
  const growth = { openGrowth: openedBytes - restingBytes, growth: peakBytes() - restingBytes };
  return { bytes, records, openMs, readMs, ...growth };
}

console.log(
  JSON.stringify(what === "make" ? { records: await make(Number(bytesText)) } : await open()),
);
