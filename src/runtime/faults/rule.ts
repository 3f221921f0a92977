/**
 * A fault that is armed. Its counts lie in shared memory, so that "the 700th message" is the same
 * in whichever thread it arrives and however often its actor was restarted.
 */
import { createRandom, restoreRandom } from "../random.ts";
import { endsThread, FAULTS, type Fault } from "./fault.ts";

/** What travels to every thread. */
export interface ArmedFault {
  readonly id: number;
  readonly fault: Fault;
  /** The instant from which its times are counted, on the monotonic clock. */
  readonly fromMs: number;
  /** Of its draws. */
  readonly seed: number;
  readonly counters: SharedArrayBuffer;
}

/** Which message it is about, as sender and receiver both know it. */
export interface Subject {
  readonly actor: string;
  readonly protocol: string;
  readonly spawned: boolean;
  readonly message: string;
  readonly isCall: boolean;
}

const MATCHED = 0;
const STRUCK = 1;
const LIFTED = 2;
const WORDS = 3;

/** Shared counters for one fault. */
export function faultCounters(): SharedArrayBuffer {
  return new SharedArrayBuffer(WORDS * 4);
}

/** An armed fault as one thread looks at it. */
export class Rule {
  readonly id: number;
  readonly fault: Fault;
  readonly #words: Int32Array;
  readonly #fromMs: number;
  readonly #key: number;

  constructor({ id, fault, fromMs, seed, counters }: ArmedFault) {
    this.id = id;
    this.fault = fault;
    this.#fromMs = fromMs;
    this.#key = createRandom(seed, `fault:${fault.text}`).state().key;
    this.#words = new Int32Array(counters);
  }

  get isSending(): boolean {
    return FAULTS[this.fault.kind].point === "sending";
  }

  get endsThread(): boolean {
    return endsThread(this.fault);
  }

  /** How often it has struck, in all threads. */
  get strikes(): number {
    return Atomics.load(this.#words, STRUCK);
  }

  get isLifted(): boolean {
    return Atomics.load(this.#words, LIFTED) !== 0;
  }

  /** Strikes no more, in any thread. */
  lift(): void {
    Atomics.store(this.#words, LIFTED, 1);
  }

  matches({ actor, protocol, spawned, message, isCall }: Subject): boolean {
    const { fault } = this;
    if (fault.message !== null && fault.message !== message) return false;
    // Only the loss of a call leaves its caller with a promise to keep: its deadline.
    if (isCall && (fault.kind === "duplicate" || fault.kind === "delay")) return false;
    if (fault.actor === "*") return true;
    if (fault.actor.startsWith("#")) return spawned && fault.actor.slice(1) === protocol;
    return fault.actor === actor;
  }

  /** Counts one matching message; true when the fault strikes at it. */
  strikesNow(nowMs: number): boolean {
    const { afterMs, untilMs, times } = this.fault;
    const sinceMs = nowMs - this.#fromMs;
    if (sinceMs < afterMs || (untilMs !== null && sinceMs >= untilMs)) return false;
    if (this.isLifted) return false;
    const number = (Atomics.add(this.#words, MATCHED, 1) + 1) >>> 0;
    if (!this.#chosen(number)) return false;
    const strike = Atomics.add(this.#words, STRUCK, 1) + 1;
    if (times === null || strike <= times) return true;
    Atomics.sub(this.#words, STRUCK, 1);
    return false;
  }

  /** One more strike that no condition was asked for. */
  countStrike(): void {
    Atomics.add(this.#words, STRUCK, 1);
  }

  #chosen(number: number): boolean {
    const { nth, every, probability } = this.fault;
    if (nth !== null) return number === nth;
    if (every !== null && number % every !== 0) return false;
    if (probability === null) return true;
    return restoreRandom({ key: this.#key, counter: number }).next() < probability;
  }
}
