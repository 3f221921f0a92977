/** Starts the writer of a soak in a process of its own, and ends it with SIGKILL only. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { EsperError } from "../../protocols/errors.ts";
import type { Clock } from "../clock.ts";
import type { FromWriter, ToWriter } from "./messages.ts";

const ENTRY = fileURLToPath(new URL("./writer-entry.js", import.meta.url));
const READY_LIMIT_MS = 20_000;
const END_LIMIT_MS = 10_000;

/** A writer as the soak sees it. */
export interface SoakWriter {
  offer(from: number, count: number): void;
  prune(before: number): void;
  /** Ends it at once; resolves when it is gone and all it has said was heard. */
  kill(): Promise<void>;
}

/** Starts a writer on the log in `directory`; `heard` gets everything it says. */
export type StartWriter = (
  directory: string,
  seed: number,
  heard: (message: FromWriter) => void,
) => Promise<SoakWriter>;

function gone(child: ChildProcess): Promise<void> {
  const ended = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
  // What it said before its end arrives before the channel is reported closed.
  const drained = new Promise<void>((resolve) => {
    if (child.connected) child.once("disconnect", () => resolve());
    else resolve();
  });
  return Promise.all([ended, drained]).then(() => undefined);
}

function stuck(what: string, limitMs: number): EsperError {
  return new EsperError(
    "DEADLINE_EXCEEDED",
    `the writer process did not ${what} within ${limitMs} ms: is the machine overloaded?`,
    { limitMs },
  );
}

/** Settles as `work` does, or rejects after `limitMs`. */
function within<T>(clock: Clock, limitMs: number, what: string, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(limitMs, () => reject(stuck(what, limitMs)));
    work.then(resolve, reject).finally(() => timer.cancel());
  });
}

/** Real processes. */
export function writerProcesses(clock: Clock): StartWriter {
  return async (directory, seed, heard) => {
    const child = fork(ENTRY, [], {
      serialization: "advanced",
      stdio: ["ignore", 2, 2, "ipc"],
      env: {},
      execArgv: [],
    });
    const over = gone(child);
    const tell = (message: ToWriter): void => {
      // One that was killed is told nothing more; its end says it all.
      if (child.connected) child.send(message, (error) => error);
    };
    const ready = new Promise<void>((resolve, reject) => {
      child.on("message", (message: FromWriter) => {
        if (message.kind === "ready") resolve();
        else heard(message);
        if (message.kind === "failed") resolve();
      });
      void over.then(() => reject(new EsperError("JOB_LOST", "the writer process ended early")));
    });
    tell({ kind: "open", directory, seed });
    const kill = async (): Promise<void> => {
      child.kill("SIGKILL");
      await within(clock, END_LIMIT_MS, "end", over);
    };
    try {
      await within(clock, READY_LIMIT_MS, "open its log", ready);
    } catch (error) {
      await kill();
      throw error;
    }
    return {
      offer: (from, count) => tell({ kind: "write", from, count }),
      prune: (before) => tell({ kind: "prune", before }),
      kill,
    };
  };
}
