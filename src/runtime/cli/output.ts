/**
 * A stream of the process as an `Output` that may break while it is used: its reader leaves
 * (`| head`, a `tee` that took the same Ctrl-C) or its disk is full. Whatever is written after that
 * is dropped, the program goes on, and `onBroken` decides what becomes of it. Nothing here ends the
 * process.
 */
import type { Output } from "./deps.ts";

/** The part of `process.stdout` and `process.stderr` that an output needs. */
export interface OutputStream {
  write(text: string, done: (error?: Error | null) => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

/** How an output broke: its reader is gone, or writing failed for another reason. */
export type Breakage =
  | { readonly kind: "reader-gone" }
  | { readonly kind: "failed"; readonly message: string };

export interface ProcessOutput extends Output {
  /** Resolves when the stream has taken everything, or is broken: no last line is lost. */
  drained(): Promise<void>;
}

const DEFAULT_COLUMNS = 80;
const DEFAULT_ROWS = 24;
/** What systems, and node for a stream that closed itself, say when the other end is closed. */
const READER_GONE = ["EPIPE", "ECONNRESET", "EOF", "ERR_STREAM_DESTROYED"];

function breakageOf(error: Error): Breakage {
  const code = "code" in error ? String(error.code) : "";
  if (READER_GONE.includes(code)) return { kind: "reader-gone" };
  return { kind: "failed", message: error.message };
}

/** Opens the output; `onBroken` is told once, from the event loop, never from inside a write. */
export function openOutput(
  stream: OutputStream,
  onBroken: (breakage: Breakage) => void,
): ProcessOutput {
  let broken = false;
  // Every further write would fail as well; only the first failure is news.
  const fail = (error: Error): void => {
    if (broken) return;
    broken = true;
    onBroken(breakageOf(error));
  };
  stream.on("error", fail);
  return {
    write(text) {
      if (broken) return;
      // A stream that has closed itself tells the writer only, not its error listeners.
      stream.write(text, (error) => {
        if (error) fail(error);
      });
    },
    isTTY: stream.isTTY === true,
    columns: () => stream.columns ?? DEFAULT_COLUMNS,
    rows: () => stream.rows ?? DEFAULT_ROWS,
    async drained() {
      if (!broken) await new Promise<void>((resolve) => void stream.write("", () => resolve()));
    },
  };
}
