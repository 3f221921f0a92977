/**
 * Messages of this thread that wait for room in a mailbox, in the order in which they were sent.
 * The receiver says when there is room; then as many are sent as find a place. Bounded per
 * receiver.
 */
import { EsperError } from "../../protocols/errors.ts";
import { DeadlineEntry } from "../deadline-wheel.ts";
import { Fifo } from "../fifo.ts";
import type { CancellationToken } from "../token.ts";
import { addressOf } from "./address.ts";
import type { Attempt } from "./post.ts";
import type { Target } from "./refs.ts";

/** The most messages that wait for one receiver in one thread. */
export const WAITING_CAPACITY = 1_024;

/** Who waits for the waiting message. */
interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: EsperError) => void;
  /** The error at the deadline. */
  readonly full: () => EsperError;
  readonly token: CancellationToken | null;
  readonly name: string;
}

export class Waiting extends DeadlineEntry {
  readonly #send: () => Attempt;
  readonly #waiter: Waiter | null;
  readonly #lost: ((reason: "stopped") => void) | null;
  readonly #withdraw: (() => void) | null = null;
  settled = false;
  onSettled: (() => void) | null = null;

  /** The second argument is null for messages whose sender does not wait; then `lost` is told. */
  constructor(
    send: () => Attempt,
    waiter: Waiter | null,
    lost: ((reason: "stopped") => void) | null = null,
  ) {
    super();
    this.#send = send;
    this.#waiter = waiter;
    this.#lost = lost;
    const { token = null, name = "" } = waiter ?? {};
    if (token === null) return;
    const text = `${name} was cancelled while it waited for room`;
    this.#withdraw = token.onCancel(() =>
      this.fail(new EsperError("CANCELLED", text, { reason: token.reason })),
    );
  }

  /** True when it need not be tried again. */
  attempt(): boolean {
    if (this.settled) return true;
    const attempt = this.#send();
    if (attempt !== "sent") return false;
    this.#settle();
    this.#waiter?.resolve();
    return true;
  }

  fail(error: EsperError): void {
    if (this.settled) return;
    this.#settle();
    if (this.#waiter !== null) this.#waiter.reject(error);
    else this.#lost?.("stopped");
  }

  override expire(): void {
    if (this.#waiter !== null) this.fail(this.#waiter.full());
  }

  #settle(): void {
    this.settled = true;
    this.#withdraw?.();
    this.onSettled?.();
  }
}

interface Queue {
  readonly target: Target;
  readonly entries: Fifo<Waiting>;
}

/** Urgent messages wait apart: behind bulk that waits they would wait for the whole flood. */
const LANE_OF_EACH_QUEUE = [0, 2] as const;

function keyOf(address: number, lane: number): number {
  return address * 2 + (lane < 2 ? 0 : 1);
}

export class WaitingRoom {
  readonly #queues = new Map<number, Queue>();
  readonly #askForRoom: (target: Target) => void;

  constructor(askForRoom: (target: Target) => void) {
    this.#askForRoom = askForRoom;
  }

  /** Receivers for which something waits. */
  get size(): number {
    return this.#queues.size;
  }

  holds(target: Target, lane: number): boolean {
    return this.#queues.has(keyOf(addressOf(target.threadId, target.slot), lane));
  }

  /** False when too many wait already. */
  park(target: Target, lane: number, entry: Waiting): boolean {
    const key = keyOf(addressOf(target.threadId, target.slot), lane);
    const queue = this.#queues.get(key) ?? { target, entries: new Fifo<Waiting>() };
    if (queue.entries.size >= WAITING_CAPACITY) return false;
    queue.entries.push(entry);
    this.#queues.set(key, queue);
    // Room that came between the refusal and this request would be told to nobody.
    this.#drain(key);
    return true;
  }

  /** Sends what finds a place now, the urgent first. */
  drain(address: number): void {
    for (const lane of LANE_OF_EACH_QUEUE) this.#drain(keyOf(address, lane));
  }

  #drain(key: number): void {
    const queue = this.#queues.get(key);
    if (queue === undefined) return;
    let asked = false;
    for (;;) {
      const head = queue.entries.at(0);
      if (head === undefined) {
        this.#queues.delete(key);
        return;
      }
      if (head.attempt()) {
        queue.entries.shift();
        asked = false;
      } else if (asked) return;
      else {
        this.#askForRoom(queue.target);
        asked = true;
      }
    }
  }

  drainWhere(matches: (target: Target) => boolean): void {
    for (const [key, { target }] of [...this.#queues]) if (matches(target)) this.#drain(key);
  }

  /** The receivers will never have room again. */
  giveUp(matches: (target: Target) => boolean, error: (target: Target) => EsperError): void {
    for (const [key, { target, entries }] of [...this.#queues]) {
      if (!matches(target)) continue;
      this.#queues.delete(key);
      for (let entry = entries.shift(); entry !== undefined; entry = entries.shift()) {
        entry.fail(error(target));
      }
    }
  }
}
