/**
 * The run's `log.jsonl`: structured pino records, written synchronously on the main thread, so
 * that a record that was handed over is on its way to the disk before anything else happens.
 */
import pino from "pino";
import type { LogRecord } from "../thread/types.ts";

export interface RunLog {
  write(record: LogRecord): void;
  /** Writes what is buffered and closes the file. */
  close(): void;
}

export function openRunLog(path: string, level: string): RunLog {
  const destination = pino.destination({ dest: path, sync: true, append: true, mkdir: true });
  const logger = pino({ level, base: null, timestamp: false, messageKey: "msg" }, destination);
  return {
    write({ level: recordLevel, msg, ...fields }) {
      logger[recordLevel](fields, msg);
    },
    close() {
      destination.flushSync();
      destination.end();
    },
  };
}
