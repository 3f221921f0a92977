/** Two threads that send to an actor which keeps its messages in their rings, under load. */
import { expect } from "vitest";
import type { ActorRef, AnyActorDefinition } from "../../dist/runtime/actor.js";
import type { SystemOptions } from "../../dist/runtime/thread/system.js";
import type { SystemEvent } from "../../dist/runtime/thread/types.js";
import * as fixture from "../fixtures/actors/direct-actors.mjs";
import { until } from "../unit/runtime/support.ts";
import { actor, type Started, startThreads, supervisor } from "./built.ts";

const { boardMemory, boardOf, feeder, FeederProtocol, LONGEST, sink, SinkProtocol, STREAMS } =
  fixture;

const MAX_UNHANDLED = 1_500;
const DEADLINE = { deadlineMs: 20_000 };
/** Streams: two lanes and calls of main, and the feeder's; the last holds the poisons. */
const CONTROL = 0;
const BULK = 1;
const CALLS = 2;
const FED = 3;
const POISONS = 4;

export type How = "throw" | "exit" | "loop" | "oom" | "outside";

export interface Drill extends Started {
  readonly sink: ActorRef<(typeof SinkProtocol)["messages"]>;
  /** Sends all the time, in the background, until `finish`. */
  poison(how: How, asCall?: boolean): Promise<void>;
  kill(): Promise<void>;
  /** Stops sending and waits until all is handled. */
  finish(): Promise<Account>;
}

export interface Account {
  readonly sent: number;
  readonly lost: number;
  readonly repeated: number;
  readonly disorder: number;
  readonly unanswered: number;
  readonly poisons: number;
  /** How often poisons were begun, all together. */
  readonly begun: number;
}

export async function startDirectDrill(options: Partial<SystemOptions> = {}): Promise<Drill> {
  const memory = boardMemory();
  const board = boardOf(memory);
  const place = (definition: AnyActorDefinition, thread: string) =>
    actor(definition, { thread, config: () => ({ board: memory }) });
  const tree = supervisor({
    ...{ intensity: 100_000, periodMs: 5 },
    children: { sink: place(sink, "alone"), feeder: place(feeder, "side") },
  });
  const started = await startThreads(tree, {
    threadOptions: { alone: { stuckMs: 200, graceMs: 20 } },
    heapLimitMb: 48,
    ...options,
  });
  const { system, events } = started;
  const ref = system.ref(SinkProtocol, "sink");
  const source = system.ref(FeederProtocol, "feeder");
  const sent = new Array<number>(STREAMS).fill(0);
  const total = (): number => sent.slice(0, POISONS).reduce((sum, count) => sum + count, 0);
  const done = (): number => Atomics.load(board.totals, 1);
  const next = (stream: number) => ({ stream, index: (sent[stream] as number)++ });
  let unanswered = 0;
  let finished = false;

  async function feed(count: number): Promise<void> {
    const from = sent[FED] as number;
    sent[FED] = from + count;
    expect(await source.call("feed", { stream: FED, from, count }, DEADLINE)).toBe(count);
  }

  function burst(): void {
    for (let count = 0; count < 20; count++) {
      expect(ref.cast("control", next(CONTROL))).toBe(true);
      expect(ref.cast("bulk", next(BULK))).toBe(true);
    }
    for (let count = 0; count < 4; count++) {
      ref.call("answer", next(CALLS), DEADLINE).catch(() => {
        unanswered += 1;
      });
    }
  }

  async function pump(): Promise<void> {
    while (!finished && total() < STREAMS * LONGEST - 1_000) {
      if (total() - done() < MAX_UNHANDLED) {
        burst();
        await feed(20);
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
  const pumping = pump();

  const quarantined = (): number =>
    events.reduce((sum, event) => sum + (isQuarantine(event) ? event.count : 0), 0);

  return {
    ...started,
    sink: ref,
    async poison(how, asCall = false) {
      const order = { ...next(POISONS), how };
      const before = quarantined();
      if (asCall) {
        const failed = ref.call("poisonCall", order, DEADLINE).catch((error: unknown) => error);
        expect(await failed).toMatchObject({ code: "HANDLER_FAILED" });
      } else ref.cast("poison", order);
      // A call that only crashed the actor was answered, and is not tried again.
      if (!asCall || how !== "throw") await until(() => quarantined() === before + 1, 15_000);
      expect(quarantined()).toBeLessThanOrEqual(before + 1);
    },
    async kill() {
      const { restarts } = system;
      const handled = done();
      await until(() => done() > handled + 50, 10_000);
      system.kill("sink");
      await until(() => system.restarts > restarts, 10_000);
    },
    async finish() {
      finished = true;
      await pumping;
      await until(() => done() >= total(), 20_000);
      await until(() => system.status().every(({ mailboxDepth }) => mailboxDepth === 0), 5_000);
      const account = { sent: total(), lost: 0, repeated: 0, disorder: 0 };
      for (let stream = 0; stream < POISONS; stream++) {
        for (let index = 0; index < (sent[stream] as number); index++) {
          const times = board.done[stream * LONGEST + index] as number;
          if (times === 0) account.lost += 1;
          else account.repeated += times - 1;
        }
      }
      account.disorder = Atomics.load(board.totals, 0);
      const poisons = sent[POISONS] as number;
      const from = POISONS * LONGEST;
      const begun = board.begun.slice(from, from + poisons);
      const times = begun.reduce((sum: number, count: number) => sum + count, 0);
      return { ...account, unanswered, poisons, begun: times };
    },
  };
}

type Quarantine = Extract<SystemEvent, { kind: "dead-letter" }>;

const isQuarantine = (event: SystemEvent): event is Quarantine =>
  event.kind === "dead-letter" && event.reason === "quarantined";
