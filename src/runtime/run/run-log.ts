/**
 * The run's `log.jsonl`: structured pino records, written synchronously on the main thread, so
 * that a record that was handed over is on its way to the disk before anything else happens. A
 * disk that takes no records is told once and never ends the run: what is kept for it is bounded.
 */
import pino from "pino";
import type { EsperError } from "../../protocols/errors.ts";
import { storageError } from "../durable/files.ts";
import type { LogRecord } from "../thread/types.ts";

export interface RunLog {
  write(record: LogRecord): void;
  /** Closes the file. */
  close(): void;
}

/** What is kept for a disk that takes nothing; later records are dropped. */
const KEPT_BYTES = 1_048_576;

/** `tell` hears of a disk that takes no records, again only after it took some. */
export function openRunLog(path: string, level: string, tell: (error: EsperError) => void): RunLog {
  const options = { dest: path, sync: true, append: true, mkdir: true, maxLength: KEPT_BYTES };
  const destination = pino.destination(options);
  const logger = pino({ level, base: null, timestamp: false, messageKey: "msg" }, destination);
  let isFailing = false;
  destination.on("error", (cause: unknown) => {
    if (!isFailing) tell(storageError(cause, "write", path));
    isFailing = true;
  });
  destination.on("write", () => {
    isFailing = false;
  });
  return {
    write({ level: recordLevel, msg, ...fields }) {
      logger[recordLevel](fields, msg);
    },
    close() {
      // Nothing is buffered but what the disk did not take; a flush would try that for ever.
      if (isFailing) destination.destroy();
      else destination.end();
    },
  };
}
