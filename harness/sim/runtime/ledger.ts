/**
 * What the clients of a simulated system sent and what they were told: the oracle of its
 * scenarios. It looks at messages and events alone and knows nothing of how they travel.
 */
import { InvariantViolation, type Random } from "esper-runtime";
import type { StartKit, TestKit } from "esper-runtime/testkit";

export type ItemLane = "urgent" | "note" | "bulk";

/** One message: the `n`th of its sender in its lane to its receiver. */
export interface Item {
  readonly from: string;
  readonly to: string;
  readonly lane: ItemLane;
  readonly n: number;
  readonly padding: string;
}

const LONGEST_PADDING = 300;

/** @throws InvariantViolation */
export function must(condition: boolean, promise: string): void {
  if (!condition) throw new InvariantViolation(`broken: ${promise}`);
}

/** Messages by sender, receiver and lane. */
export class Ledger {
  readonly random: Random;
  readonly handled: Item[] = [];
  /** Told to be refused, and therefore dead letters. */
  refused = 0;
  sent = 0;
  readonly sentTo = new Map<string, number>();
  /** Receivers may get a message again after a crash: the only repetition there is. */
  again = 0;
  readonly #next = new Map<string, number>();
  readonly #last = new Map<string, number>();

  constructor(random: Random) {
    this.random = random;
  }

  /** The next message of a sender. */
  item(from: string, to: string, lane: ItemLane): Item {
    const key = `${from} ${to} ${lane}`;
    const n = this.#next.get(key) ?? 0;
    this.#next.set(key, n + 1);
    this.sent += 1;
    this.sentTo.set(to, (this.sentTo.get(to) ?? 0) + 1);
    return { from, to, lane, n, padding: "x".repeat(this.random.integer(LONGEST_PADDING)) };
  }

  /** A receiver handles a message. */
  handle(item: Item): void {
    const { from, to, lane, n } = item;
    const key = `${from} ${to} ${lane}`;
    const last = this.#last.get(key) ?? -1;
    must(n >= last, `${to} gets ${lane} of ${from} in order (${n} after ${last})`);
    this.#last.set(key, n);
    if (n === last) this.again += 1;
    else this.handled.push(item);
  }

  handledBy(to: string): number {
    return this.handled.filter((item) => item.to === to).length;
  }
}

/** Messages of `actor`, or of all, that were reported dead. */
export function deadLetters({ events }: TestKit, actor?: string): number {
  let count = 0;
  for (const event of events) {
    if (event.kind === "dead-letter" && (actor === undefined || event.actor === actor)) {
      count += event.count;
    }
  }
  return count;
}

/** Whatever was sent has an end, and one only. */
export function mustBalance(kit: TestKit, ledger: Ledger): void {
  for (const [to, sent] of ledger.sentTo) {
    const handled = ledger.handledBy(to);
    const dead = deadLetters(kit, to);
    must(sent === handled + dead, `${to}: ${sent} sent = ${handled} handled + ${dead} dead`);
  }
}

/** All actors run, and nothing is queued. */
export function mustBeCalm(kit: TestKit): void {
  for (const { name, state, mailboxDepth } of kit.system.status()) {
    must(state === "running", `${name} runs again in the end (${state})`);
    must(mailboxDepth === 0, `nothing is left in the mailbox of ${name} (${mailboxDepth})`);
  }
}

/**
 * Starts the tree and lets every thread read its orders: until a thread has read that another one
 * is there, what its actors send there is refused as if that one were restarting.
 */
export async function linked(start: StartKit, ...given: Parameters<StartKit>): Promise<TestKit> {
  const kit = await start(...given);
  await kit.advance(0);
  return kit;
}
