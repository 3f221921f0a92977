/**
 * Reads a trace of system calls and checks every acknowledgement in it: the record's bytes must
 * have been written, and a sync of the same file begun after that write and returned, before the
 * acknowledgement went out. The order of the lines is the order of events: the tracer stops a
 * thread at the beginning and at the end of each call.
 */
import { decodeTold, TOLD_FD } from "./told.ts";

/** What a trace shows. */
export interface TraceFigures {
  readonly acknowledgements: number;
  readonly syncs: number;
  readonly writes: number;
  /** Acknowledgements that came too early, a sentence each. */
  readonly early: readonly string[];
}

/** The calls that `strace` must show. */
export const TRACED = [
  ...["write", "writev", "pwrite64", "pwritev", "pwritev2"],
  ...["fdatasync", "fsync", "close"],
] as const;

const BEGUN = /^(\d+) +(\S+) (\w+)\((\d+)(.*)$/;
const RESUMED = /^(\d+) +(\S+) <\.\.\. (\w+) resumed>(.*)$/;
const RETURNED = /\) += (-?\d+)[^"]*$/;
const UNFINISHED = "<unfinished ...>";
const STRING = /"((?:\\x[0-9a-f]{2})*)"/g;
const MARK_BYTES = 12;

interface Call {
  readonly name: string;
  readonly fd: number;
  readonly arguments: string;
  readonly at: string;
  /** For a sync: the records that were wholly written when it began. */
  readonly covers: readonly number[];
}

/** The bytes of the strings in a call's arguments, which the tracer prints in hexadecimal. */
function bytesIn(text: string): Uint8Array {
  const hex = [...text.matchAll(STRING)].map(([, string = ""]) => string.replaceAll("\\x", ""));
  return Buffer.from(hex.join(""), "hex");
}

/** Indexes of the drill's records whose beginning is in the bytes. */
function recordsIn(bytes: Uint8Array, seed: number, life: number): number[] {
  const mark = Buffer.alloc(8);
  mark.writeUInt32LE(seed, 0);
  mark.writeUInt32LE(life, 4);
  const found: number[] = [];
  const buffer = Buffer.from(bytes);
  for (let at = buffer.indexOf(mark); at >= 0; at = buffer.indexOf(mark, at + 1)) {
    if (at + MARK_BYTES <= buffer.byteLength) found.push(buffer.readUInt32LE(at + mark.byteLength));
  }
  return found;
}

class Reader {
  readonly #seed: number;
  readonly #life: number;
  readonly #open = new Map<string, Call>();
  /** Records written to a file and not yet synced, by the file's number. */
  readonly #written = new Map<number, Set<number>>();
  readonly #synced = new Set<number>();
  readonly early: string[] = [];
  acknowledgements = 0;
  syncs = 0;
  writes = 0;

  constructor(seed: number, life: number) {
    this.#seed = seed;
    this.#life = life;
  }

  line(line: string): void {
    const resumed = RESUMED.exec(line);
    if (resumed !== null) {
      const [, pid = "", , , rest = ""] = resumed;
      const call = this.#open.get(pid);
      this.#open.delete(pid);
      if (call !== undefined) this.#end(call, RETURNED.exec(rest)?.[1]);
      return;
    }
    const begun = BEGUN.exec(line);
    if (begun === null) return;
    const [, pid = "", at = "", name = "", fd = "", rest = ""] = begun;
    const covers = [...(this.#written.get(Number(fd)) ?? [])];
    const call = { name, fd: Number(fd), arguments: rest, at, covers };
    this.#begin(call);
    if (line.endsWith(UNFINISHED)) this.#open.set(pid, call);
    else this.#end(call, RETURNED.exec(line)?.[1]);
  }

  #begin(call: Call): void {
    if (call.fd !== TOLD_FD || !call.name.includes("write")) return;
    for (const { kind, index } of decodeTold(bytesIn(call.arguments))) {
      if (kind !== "acknowledged") continue;
      this.acknowledgements += 1;
      if (this.#synced.has(index)) continue;
      const written = [...this.#written.values()].some((records) => records.has(index));
      const why = written ? "its sync had not returned" : "it was never seen written";
      this.early.push(`record ${index} acknowledged at ${call.at}: ${why}`);
    }
  }

  #end({ name, fd, arguments: text, covers }: Call, returned: string | undefined): void {
    if (fd === TOLD_FD) return;
    if (name === "close") this.#written.delete(fd);
    else if (name.includes("write")) {
      const records = recordsIn(bytesIn(text), this.#seed, this.#life);
      if (records.length === 0 || returned === undefined || returned.startsWith("-")) return;
      this.writes += 1;
      const written = this.#written.get(fd) ?? new Set();
      for (const record of records) written.add(record);
      this.#written.set(fd, written);
    } else if (returned === "0") {
      this.syncs += 1;
      for (const record of covers) {
        this.#synced.add(record);
        this.#written.get(fd)?.delete(record);
      }
    }
  }
}

/** Checks the lines of a trace of the drill's writer. */
export async function readTrace(
  lines: Iterable<string> | AsyncIterable<string>,
  seed: number,
  life: number,
): Promise<TraceFigures> {
  const reader = new Reader(seed, life);
  for await (const line of lines) reader.line(line);
  const { acknowledgements, syncs, writes, early } = reader;
  return { acknowledgements, syncs, writes, early };
}
