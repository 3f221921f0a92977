/** SIGINT and SIGTERM: graceful once, then by force, and never for longer than the grace. */
import { describe, expect, test } from "vitest";
import { EsperError, InvariantViolation } from "../../../src/protocols/errors.ts";
import type { Clock } from "../../../src/runtime/clock.ts";
import { EXIT, exitCodeOfError } from "../../../src/runtime/run/exit.ts";
import { watchSignals } from "../../../src/runtime/run/signals.ts";

function scene(graceMs?: number) {
  const listeners = new Map<string, () => void>();
  const exits: number[] = [];
  const said: string[] = [];
  const timers: { delayMs: number; fire: () => void; background: boolean; cancelled: boolean }[] =
    [];
  const time = { nowMs: 0 };
  const clock: Clock = {
    nowMs: () => time.nowMs,
    monotonicMs: () => time.nowMs,
    after(delayMs, fire, background = false) {
      const timer = { delayMs, fire, background, cancelled: false };
      timers.push(timer);
      return {
        cancel() {
          timer.cancelled = true;
        },
      };
    },
  };
  const watch = watchSignals({
    source: {
      on: (signal, listener) => listeners.set(signal, listener),
      off: (signal, listener) => {
        if (listeners.get(signal) === listener) listeners.delete(signal);
      },
      exit: (code) => exits.push(code),
    },
    clock,
    say: (line) => said.push(line),
    ...(graceMs === undefined ? {} : { graceMs }),
  });
  const send = (signal: "SIGINT" | "SIGTERM") => listeners.get(signal)?.();
  return { watch, send, exits, said, timers, listeners, time };
}

describe("while a run is held", () => {
  test("the first signal cancels its token and does not end the process", () => {
    const { watch, send, exits, said } = scene();
    const token = watch.hold();
    expect(token.cancelled).toBe(false);
    send("SIGTERM");
    expect(token.cancelled).toBe(true);
    expect(exits).toEqual([]);
    expect(watch.received()).toBe("SIGTERM");
    expect(said).toEqual([
      "SIGTERM: writing a checkpoint and stopping, at most 10 s; again to end at once",
    ]);
  });

  test.each([
    ["SIGINT", "SIGINT", 130],
    ["SIGTERM", "SIGTERM", 143],
    ["SIGTERM", "SIGINT", 130],
  ] as const)("%s and then %s ends at once with %i", (first, second, code) => {
    const { watch, send, exits, time } = scene();
    watch.hold();
    send(first);
    if (first === second) time.nowMs += 250;
    send(second);
    expect(exits).toEqual([code]);
    expect(watch.received()).toBe(first);
  });

  test("one Ctrl-C passed on twice, by the terminal and by npm, counts once", () => {
    const { watch, send, exits, said, time } = scene();
    watch.hold();
    send("SIGINT");
    time.nowMs += 249;
    send("SIGINT");
    expect(exits).toEqual([]);
    expect(said).toHaveLength(1);
  });

  test("the watchdog ends the process after 10 s and keeps it alive no longer", () => {
    const { watch, send, exits, timers, said } = scene();
    watch.hold();
    send("SIGINT");
    expect(timers).toMatchObject([{ delayMs: 10_000, background: true, cancelled: false }]);
    timers[0]?.fire();
    expect(exits).toEqual([130]);
    expect(said.at(-1)).toBe("not stopped after 10 s: ending now");
  });

  test("closing withdraws handlers and watchdog", () => {
    const { watch, send, timers, listeners } = scene(250);
    watch.hold();
    send("SIGINT");
    watch.close();
    expect(timers).toMatchObject([{ delayMs: 250, cancelled: true }]);
    expect(listeners.size).toBe(0);
  });

  test("a stop for another reason is a stop, but no signal", () => {
    const { watch, exits, timers, said } = scene();
    const token = watch.hold();
    watch.stopRun("nobody reads the output");
    expect(token.cancelled).toBe(true);
    expect(watch.received()).toBeNull();
    expect(said).toEqual([
      "nobody reads the output: writing a checkpoint and stopping, at most 10 s",
    ]);
    timers[0]?.fire();
    expect(exits).toEqual([EXIT.failed]);
  });

  test("a Ctrl-C that also took the reader of the output is told once and keeps its code", () => {
    const { watch, send, exits, timers, said } = scene();
    watch.hold();
    send("SIGINT");
    watch.stopRun("nobody reads the output");
    expect(exits).toEqual([]);
    expect(said).toHaveLength(1);
    expect(timers).toHaveLength(1);
    expect(watch.received()).toBe("SIGINT");
  });

  test("a signal after another stop is the first one: the next ends at once", () => {
    const { watch, send, exits, timers } = scene();
    watch.hold();
    watch.stopRun("nobody reads the output");
    send("SIGTERM");
    expect(exits).toEqual([]);
    expect(watch.received()).toBe("SIGTERM");
    expect(timers).toHaveLength(1);
    send("SIGINT");
    expect(exits).toEqual([130]);
  });

  test("asking twice gives the same token", () => {
    const { watch } = scene();
    expect(watch.hold()).toBe(watch.hold());
  });
});

test("without a run the first signal ends the process", () => {
  const { send, exits, timers } = scene();
  send("SIGINT");
  expect(exits).toEqual([130]);
  expect(timers).toEqual([]);
});

test("without a run there is nothing to stop: a short command ends by itself", () => {
  const { watch, exits, said, timers } = scene();
  watch.stopRun("nobody reads the output");
  expect({ exits, said, timers }).toEqual({ exits: [], said: [], timers: [] });
});

test.each([
  [new EsperError("USAGE", "x"), EXIT.usage],
  [new EsperError("DEPENDENCY_MISSING", "x"), EXIT.dependency],
  [new EsperError("WAL_CORRUPT", "x"), EXIT.failed],
  [new InvariantViolation("x"), EXIT.failed],
  ["text", EXIT.failed],
])("%s exits with %i", (error, code) => {
  expect(exitCodeOfError(error)).toBe(code);
});
