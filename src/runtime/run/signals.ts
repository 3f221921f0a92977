/**
 * How the process answers SIGINT and SIGTERM. While a run is held, the first signal cancels its
 * token, so that it can write a checkpoint and leave; a second signal, or 10 s without an end,
 * ends the process at once. Without a held run the first signal ends it. The write-ahead log is
 * safe either way. SIGHUP is left alone: a handler would undo `nohup`.
 */
import type { Clock, Timer } from "../clock.ts";
import { CancellationToken } from "../token.ts";
import { EXIT, type ExitCode, exitCodeOfSignal, type StopSignal } from "./exit.ts";

/** Milliseconds a cancelled run has to leave. */
export const STOP_GRACE_MS = 10_000;

/**
 * A terminal and npm both pass on one Ctrl-C, so the same signal within this many milliseconds of
 * the first is an echo; no person asks twice that quickly.
 */
export const ECHO_MS = 250;

/** The part of `process` that signals need; `exit` must not return to the event loop. */
export interface SignalSource {
  on(signal: StopSignal, listener: () => void): void;
  off(signal: StopSignal, listener: () => void): void;
  exit(code: number): void;
}

export interface SignalOptions {
  readonly source: SignalSource;
  readonly clock: Clock;
  /** Tells the person one line; must not throw. */
  readonly say: (line: string) => void;
  readonly graceMs?: number;
}

/** The signals of one process, from the start of the program to its end. */
export interface SignalWatch {
  /**
   * Makes stopping graceful from now on: the token is cancelled by the first signal. `told` is what
   * the person reads then; null says nothing. Default: that a checkpoint is written.
   */
  hold(told?: string | null): CancellationToken;
  /** Stops a held run as a first signal would, without being one; `why` is told. Idempotent. */
  stopRun(why: string): void;
  /** The first signal that came, or null. */
  received(): StopSignal | null;
  /** Withdraws the handlers and the watchdog. */
  close(): void;
}

/** Installs the handlers; exactly one watch may exist in a process. */
export function watchSignals(options: SignalOptions): SignalWatch {
  const { source, clock, say } = options;
  const graceMs = options.graceMs ?? STOP_GRACE_MS;
  let held: CancellationToken | null = null;
  let first: StopSignal | null = null;
  let firstAtMs = 0;
  let watchdog: Timer | null = null;
  let stopping = false;
  const seconds = graceMs / 1_000;
  let farewell: string | null =
    `writing a checkpoint and stopping, at most ${seconds} s; again to end at once`;

  /** Asks the run for its checkpoint; it has the grace to leave with it. */
  function stopHeld(token: CancellationToken, told: string | null, lateCode: ExitCode): void {
    if (stopping) return;
    stopping = true;
    if (told !== null) say(told);
    watchdog = clock.after(
      graceMs,
      () => {
        say(`not stopped after ${seconds} s: ending now`);
        source.exit(lateCode);
      },
      true,
    );
    token.cancel();
  }

  function onSignal(signal: StopSignal): void {
    if (first !== null) {
      if (signal === first && clock.monotonicMs() - firstAtMs < ECHO_MS) return;
      say(`${signal} again: ending at once`);
      source.exit(exitCodeOfSignal(signal));
      return;
    }
    first = signal;
    firstAtMs = clock.monotonicMs();
    if (held === null) {
      source.exit(exitCodeOfSignal(signal));
      return;
    }
    stopHeld(held, farewell === null ? null : `${signal}: ${farewell}`, exitCodeOfSignal(signal));
  }

  const onInterrupt = () => onSignal("SIGINT");
  const onTerminate = () => onSignal("SIGTERM");
  source.on("SIGINT", onInterrupt);
  source.on("SIGTERM", onTerminate);
  return {
    hold(told = farewell) {
      farewell = told;
      held ??= new CancellationToken();
      return held;
    },
    stopRun(why) {
      if (held === null) return;
      const told = `${why}: writing a checkpoint and stopping, at most ${seconds} s`;
      stopHeld(held, told, EXIT.failed);
    },
    received: () => first,
    close() {
      source.off("SIGINT", onInterrupt);
      source.off("SIGTERM", onTerminate);
      watchdog?.cancel();
    },
  };
}
