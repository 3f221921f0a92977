/** One cell of the back-pressure soak: a flood, what became of every message, and what it took. */
import { type ActorRef, type ActorSystem, CancellationToken } from "esper-runtime";
import { type Percentiles, percentilesOf } from "../bench/runtime/histogram.ts";
import {
  type ByLane,
  ConsumerProtocol,
  type ConsumerReport,
  ProducerProtocol,
  type ProducerReport,
} from "./flood.actors.ts";
import { type Cell, cellName, consumerName, FLOOD_LANES, PRODUCERS } from "./flood-shape.ts";

export interface CellResult {
  readonly cell: string;
  readonly sent: ByLane;
  readonly handled: ByLane;
  /** Refused at the sender; each is a dead letter. */
  readonly refused: number;
  readonly deadLetters: number;
  /** sent - handled - deadLetters. */
  readonly unaccounted: number;
  readonly damaged: number;
  readonly disordered: number;
  readonly missing: number;
  /** Most messages on their way or queued, as the consumer and as the main thread saw them. */
  readonly mostDepth: number;
  /** Most control and bulk messages in the mailbox itself. */
  readonly mostQueued: number;
  readonly rssGrowthMib: number;
  readonly emergencyUs: Percentiles;
  /** Of an offer under `wait`, of a refused cast elsewhere; null when there was none. */
  readonly sendUs: Percentiles | null;
}

const MIB = 2 ** 20;
const DEPTH_EVERY_MS = 2;
/** The consumer's thread tells of its lanes ten times a second. */
const LANES_EVERY_MS = 50;
/** Emergencies of one producer cost its consumer one part in this. */
const SERVICES_AN_EMERGENCY = 20;
const CALL_MS = 60_000;
const SETTLE_MS = 5_000;
const POLL_MS = 5;

type Consumer = ActorRef<typeof ConsumerProtocol.messages>;

/** Highest figures while a cell runs. */
class Watch {
  mostDepth = 0;
  mostQueued = 0;
  mostRss = process.memoryUsage.rss();
  readonly #firstRss = process.memoryUsage.rss();
  readonly #timers: readonly NodeJS.Timeout[];

  constructor(system: ActorSystem, consumer: Consumer) {
    const depth = (): void => {
      this.mostDepth = Math.max(this.mostDepth, consumer.depth);
      this.mostRss = Math.max(this.mostRss, process.memoryUsage.rss());
    };
    const lanes = (): void => {
      this.mostQueued = Math.max(this.mostQueued, queued(system, consumer.name));
    };
    this.#timers = [setInterval(depth, DEPTH_EVERY_MS), setInterval(lanes, LANES_EVERY_MS)];
  }

  get rssGrowthMib(): number {
    return (this.mostRss - this.#firstRss) / MIB;
  }

  end(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }
}

/** Control and bulk messages in the mailbox of an actor. */
function queued(system: ActorSystem, name: string): number {
  for (const child of system.inspect().tree.children) {
    if (child.kind !== "actor" || child.name !== name) continue;
    return child.mailbox.lanes
      .filter(({ lane }) => lane === "control" || lane === "bulk")
      .reduce((sum, { depth }) => sum + depth, 0);
  }
  throw new Error(`there is no actor ${name}`);
}

const total = (counts: ByLane): number => FLOOD_LANES.reduce((sum, lane) => sum + counts[lane], 0);

const sumByLane = (all: readonly ByLane[]): ByLane => ({
  emergency: all.reduce((sum, { emergency }) => sum + emergency, 0),
  control: all.reduce((sum, { control }) => sum + control, 0),
  bulk: all.reduce((sum, { bulk }) => sum + bulk, 0),
});

async function until(condition: () => boolean, limitMs: number): Promise<void> {
  const endsAtMs = performance.now() + limitMs;
  while (!condition() && performance.now() < endsAtMs) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function produce(system: ActorSystem, cell: Cell, seconds: number): Promise<ProducerReport[]> {
  const { rate, size, overflow } = cell;
  const perMs = (rate * 1_000) / size.serviceUs / PRODUCERS.length;
  return Promise.all(
    PRODUCERS.map((name, sender) => {
      const order = {
        ...{ to: consumerName(cell), sender, bytes: size.bytes, perMs },
        ...{ forMs: seconds * 1_000, waits: overflow === "wait" },
        emergencyEveryMs: (size.serviceUs * SERVICES_AN_EMERGENCY) / 1_000,
      };
      const ref = system.ref(ProducerProtocol, name);
      return ref.call("produce", order, { deadlineMs: CALL_MS });
    }),
  );
}

/** Runs one cell; `dead` tells the dead letters of an actor so far. */
export async function runCell(
  system: ActorSystem,
  cell: Cell,
  seconds: number,
  dead: (actor: string) => number,
): Promise<CellResult> {
  const consumer = system.ref(ConsumerProtocol, consumerName(cell));
  using token = new CancellationToken();
  const report = (): Promise<ConsumerReport> =>
    consumer.call(
      "report",
      { serviceUs: cell.size.serviceUs },
      // The flood may still be on its way: a full mailbox is waited for.
      { deadlineMs: CALL_MS, token, onRestart: "retry" },
    );
  await report();
  const deadBefore = dead(consumer.name);
  const watch = new Watch(system, consumer);
  const produced = await produce(system, cell, seconds).finally(() => watch.end());
  await until(() => consumer.depth === 0, CALL_MS);
  const { handled, emergencyUs, mostDepth, ...found } = await report();
  const sent = sumByLane(produced.map((one) => one.sent));
  const unaccounted = (): number =>
    total(sent) - total(handled) - (dead(consumer.name) - deadBefore);
  await until(() => unaccounted() === 0, SETTLE_MS);
  const tookUs = produced.flatMap((one) => [...one.tookUs]);
  return {
    ...{ cell: cellName(cell), sent, handled, ...found },
    refused: produced.reduce((sum, { refused }) => sum + refused, 0),
    deadLetters: dead(consumer.name) - deadBefore,
    unaccounted: unaccounted(),
    mostDepth: Math.max(mostDepth, watch.mostDepth),
    mostQueued: watch.mostQueued,
    rssGrowthMib: watch.rssGrowthMib,
    emergencyUs: percentilesOf(emergencyUs),
    sendUs: tookUs.length === 0 ? null : percentilesOf(tookUs),
  };
}
