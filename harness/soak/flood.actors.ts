/**
 * The consumer and the producers of the back-pressure soak. Every message carries its sender, its
 * number in its lane and the sum of its bytes, so that what is lost, doubled, damaged or out of
 * order is seen by the one who gets it.
 */
import {
  type ActorContext,
  type ActorRef,
  bytes,
  call,
  cast,
  defineActor,
  f64,
  fields,
  protocol,
  systemClock,
  u32,
} from "esper-runtime";
import { FLOOD_LANES, type FloodLane, PRODUCERS } from "./flood-shape.ts";
import { collected } from "./memory.ts";

const message = fields({ sender: u32, number: u32, sum: u32, sentAtMs: f64, body: bytes });

export const ConsumerProtocol = protocol("consumer", {
  emergency: cast(message, { lane: "emergency" }),
  control: cast(message, { lane: "control" }),
  bulk: cast(message, { lane: "bulk" }),
  /** What came since the last report, and how long one message is to take from now on. */
  report: call<{ serviceUs: number }, ConsumerReport>(),
  collect: call<null, number>(),
});

/** Counts by lane. */
export type ByLane = Readonly<Record<FloodLane, number>>;

export interface ConsumerReport {
  readonly handled: ByLane;
  /** Messages whose bytes did not add up. */
  readonly damaged: number;
  /** Messages that came after a later one of the same sender and lane, or twice. */
  readonly disordered: number;
  /** Numbers of a sender and lane that never came. */
  readonly missing: number;
  /** Most messages on their way or queued that it ever saw. */
  readonly mostDepth: number;
  /** Age of emergencies when they were begun. */
  readonly emergencyUs: Float64Array;
}

const zeros = (): Record<FloodLane, number> => ({ emergency: 0, control: 0, bulk: 0 });

/** What a consumer remembers. */
class Ledger {
  serviceUs = 100;
  handled = zeros();
  damaged = 0;
  disordered = 0;
  missing = 0;
  mostDepth = 0;
  emergencyUs: number[] = [];
  /** The number that comes next, by sender and lane. */
  readonly #next = new Map<number, number>();

  arrived(lane: number, sender: number, number: number): void {
    const key = sender * FLOOD_LANES.length + lane;
    const expected = this.#next.get(key) ?? 0;
    if (number < expected) this.disordered += 1;
    else {
      this.missing += number - expected;
      this.#next.set(key, number + 1);
    }
  }

  take(): ConsumerReport {
    const { handled, damaged, disordered, missing, mostDepth } = this;
    const emergencyUs = Float64Array.from(this.emergencyUs);
    Object.assign(this, { handled: zeros(), damaged: 0, disordered: 0, missing: 0, mostDepth: 0 });
    this.emergencyUs = [];
    this.#next.clear();
    return { handled, damaged, disordered, missing, mostDepth, emergencyUs };
  }
}

/** The words of a body; a view that does not begin at a word is copied. */
function wordsOf(body: Uint8Array): Uint32Array {
  const aligned = body.byteOffset % 4 === 0 ? body : body.slice();
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength >> 2);
}

function sumOf(words: Uint32Array): number {
  let sum = 0;
  for (let index = 0; index < words.length; index++) sum = (sum + (words[index] ?? 0)) >>> 0;
  return sum;
}

interface Flood {
  readonly sender: number;
  readonly number: number;
  readonly sum: number;
  readonly sentAtMs: number;
  readonly body: Uint8Array;
}

type ConsumerContext = ActorContext<unknown, typeof ConsumerProtocol.messages>;

function consume(ledger: Ledger, flood: Flood, lane: number, context: ConsumerContext): void {
  const begunAtMs = systemClock.monotonicMs();
  ledger.mostDepth = Math.max(ledger.mostDepth, context.self.depth);
  if (sumOf(wordsOf(flood.body)) !== flood.sum) ledger.damaged += 1;
  ledger.arrived(lane, flood.sender, flood.number);
  const name = FLOOD_LANES[lane] as FloodLane;
  ledger.handled[name] += 1;
  if (name === "emergency") ledger.emergencyUs.push((begunAtMs - flood.sentAtMs) * 1_000);
  const endsAtMs = begunAtMs + ledger.serviceUs / 1_000;
  while (systemClock.monotonicMs() < endsAtMs);
}

export const consumer = defineActor(import.meta.url, ConsumerProtocol, {
  setup: () => new Ledger(),
  receive: {
    emergency: (ledger, flood, context) => consume(ledger, flood, 0, context),
    control: (ledger, flood, context) => consume(ledger, flood, 1, context),
    bulk: (ledger, flood, context) => consume(ledger, flood, 2, context),
    report(ledger, { serviceUs }) {
      ledger.serviceUs = serviceUs;
      return ledger.take();
    },
    collect: () => collected(),
  },
});

export interface ProducerOrder {
  readonly to: string;
  /** Its place among the producers. */
  readonly sender: number;
  readonly bytes: number;
  readonly perMs: number;
  readonly forMs: number;
  /** From one emergency to the next: they do not wait for the flood of the same actor. */
  readonly emergencyEveryMs: number;
  /** It takes the pace of its consumer instead of being refused. */
  readonly waits: boolean;
}

export interface ProducerReport {
  readonly sent: ByLane;
  readonly refused: number;
  /** Microseconds that one offer waited, or that one refusal took. */
  readonly tookUs: Float64Array;
}

export const ProducerProtocol = protocol("producer", {
  produce: call<ProducerOrder, ProducerReport>(),
  collect: call<null, number>(),
});

/** Every fifth message of a flood is control, the rest bulk. */
const laneAt = (count: number): number => (count % 5 === 0 ? 1 : 2);

/** Each offer ends by this, also when its consumer is gone. */
const OFFER = { deadlineMs: 30_000 };
const TICK_MS = 1;
/** Makes every word of a body another one. */
const FILLING = 2_654_435_761;
/** After the machine stood still a producer makes up for this much, not for all of it. */
const CATCH_UP_MS = 20;
/** Latencies beyond this are not kept: the first ones tell enough. */
const MOST_KEPT = 100_000;

class Producer {
  readonly sent = zeros();
  readonly tookUs: number[] = [];
  refused = 0;
  readonly #order: ProducerOrder;
  readonly #target: ActorRef<typeof ConsumerProtocol.messages>;
  readonly #body: Uint8Array;
  /** The sum without the first word, which changes with every message. */
  readonly #restSum: number;
  #count = 0;

  constructor(order: ProducerOrder, target: ActorRef<typeof ConsumerProtocol.messages>) {
    this.#order = order;
    this.#target = target;
    this.#body = new Uint8Array(order.bytes);
    const words = new Uint32Array(this.#body.buffer);
    for (let index = 1; index < words.length; index++) words[index] = Math.imul(index, FILLING);
    this.#restSum = sumOf(words);
  }

  /** Sends what is due every millisecond until its time is over. */
  async run(): Promise<void> {
    const { perMs, forMs, emergencyEveryMs } = this.#order;
    const startedAtMs = systemClock.monotonicMs();
    const spentMs = (): number => systemClock.monotonicMs() - startedAtMs;
    const alarm = setInterval(() => void this.#send(0), emergencyEveryMs);
    while (spentMs() < forMs) {
      const due = Math.ceil(spentMs() * perMs);
      this.#count = Math.max(this.#count, due - Math.ceil(CATCH_UP_MS * perMs));
      while (this.#count < due && spentMs() < forMs) {
        const offered = this.#send(laneAt(this.#count++));
        if (offered !== null) await offered;
      }
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
    clearInterval(alarm);
  }

  /** One message; a promise when there is something to wait for. */
  #send(lane: number): Promise<void> | null {
    const name = FLOOD_LANES[lane] as FloodLane;
    const number = this.sent[name]++;
    // What waits for room is not copied before it is sent, so an emergency has a body of its own.
    const body = lane === 0 ? this.#body.slice() : this.#body;
    new Uint32Array(body.buffer)[0] = number;
    const sum = (this.#restSum + number) >>> 0;
    const { sender, waits } = this.#order;
    const sentAtMs = systemClock.monotonicMs();
    const flood = { sender, number, sum, sentAtMs, body };
    if (waits && name !== "emergency") {
      return this.#target.offer(name, flood, OFFER).then(() => this.#took(sentAtMs));
    }
    if (!this.#target.cast(name, flood)) {
      this.refused += 1;
      this.#took(sentAtMs);
    }
    return null;
  }

  #took(sinceMs: number): void {
    if (this.tookUs.length >= MOST_KEPT) return;
    this.tookUs.push((systemClock.monotonicMs() - sinceMs) * 1_000);
  }
}

export const producer = defineActor(import.meta.url, ProducerProtocol, {
  setup: () => null,
  receive: {
    async produce(_state, order, context) {
      const made = new Producer(order, context.ref(ConsumerProtocol, order.to));
      await made.run();
      const { sent, refused, tookUs } = made;
      return { sent, refused, tookUs: Float64Array.from(tookUs) };
    },
    collect: () => collected(),
  },
});

/** How many producers share a rate. */
export const PRODUCER_COUNT = PRODUCERS.length;
