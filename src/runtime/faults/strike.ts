/**
 * What a fault does to the thread in which it strikes. On a real thread every failure is the real
 * one; where all actors share the calling thread, whatever would end the process ends the actor's
 * own thread only, as if it had been a real one.
 */
import { type Clock, sleep } from "../clock.ts";
import type { FaultKind } from "./fault.ts";

/** Where the fault strikes. */
export interface Scene {
  /** Threads are only pretended. */
  readonly inline: boolean;
  readonly clock: Clock;
  readonly kind: FaultKind;
  readonly value: number | null;
  /** `actor.message`, for messages to people. */
  readonly what: string;
  /** The handling that the fault comes before. */
  readonly proceed: () => unknown;
  /** Asks the system to end this thread, with this cause. */
  readonly end: (cause: string) => void;
}

/** How long a thread waits for its end; longer, and it goes on as if nothing had been. */
const END_LIMIT_MS = 10_000;
const HOARD = 50_000;

/** True when the thread does not end itself but asks the system for its end. */
export function asksForEnd(inline: boolean, kind: FaultKind): boolean {
  const endsItself = kind === "unhandled" || kind === "exit" || kind === "oom";
  return kind === "kill" || (endsItself && inline);
}

/** Strikes; what it returns or throws stands for what the handler did. */
export function strike(scene: Scene): unknown {
  const { inline, kind, what } = scene;
  const text = `an injected fault (${kind}) struck ${what}`;
  switch (kind) {
    case "crash":
    case "poison":
      throw new Error(text);
    case "reject":
      return Promise.reject(new Error(text));
    case "overflow":
      return deeper(0);
    case "slow":
      return sleep(scene.clock, scene.value ?? 0).then(scene.proceed);
    case "wedge":
      return inline ? hang(scene) : loop(scene);
    default:
      return asksForEnd(inline, kind) ? awaitEnd(scene, text) : endHere(scene, text);
  }
}

function endHere({ kind, value, proceed }: Scene, text: string): unknown {
  if (kind === "exit") return process.exit(value ?? 1);
  if (kind === "oom") return hoard();
  void Promise.reject(new Error(text));
  return proceed();
}

/** The system ends the thread; until then it does nothing, least of all handle the message. */
function awaitEnd({ inline, end }: Scene, text: string): unknown {
  end(text);
  if (!inline) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, END_LIMIT_MS);
  }
  return new Promise(() => undefined);
}

/** A thread that is only pretended must not hold the real one. */
function hang({ clock, value, proceed }: Scene): Promise<unknown> {
  if (value === null) return new Promise(() => undefined);
  return sleep(clock, value).then(proceed);
}

function loop({ clock, value, proceed }: Scene): unknown {
  const endsAtMs = clock.monotonicMs() + (value ?? Number.POSITIVE_INFINITY);
  while (clock.monotonicMs() < endsAtMs);
  return proceed();
}

function deeper(depth: number): number {
  return deeper(depth + 1) + 1;
}

function hoard(): never {
  const kept: unknown[] = [];
  // Doubles lie in the array itself: the collector has nothing to follow and the end comes soon.
  for (;;) kept.push(new Array(HOARD).fill(0.5));
}
