/** Senders and receivers of the scenarios; what they do is written into the ledger they share. */
import {
  type ActorRef,
  call,
  cast,
  defineActor,
  InvariantViolation,
  type Protocol,
  protocol,
} from "esper-runtime";
import type { Item, ItemLane, Ledger } from "./ledger.ts";

const OFFER_DEADLINE_MS = 30_000;

export interface Ask {
  readonly value: number;
  /** How long the handler waits before it answers; it ends early when the token is cancelled. */
  readonly holdMs: number;
}

export const SinkProtocol = protocol("sink", {
  urgent: cast<Item>({ lane: "emergency" }),
  note: cast<Item>(),
  bulk: cast<Item>({ lane: "bulk" }),
  ask: call<Ask, number>(),
  /** Hands the question on to another sink. */
  pass: call<Ask & { readonly to: string }, number>(),
});

type SinkMessages = typeof SinkProtocol extends Protocol<infer M> ? M : never;

export interface SinkConfig {
  readonly ledger: Ledger;
  /** How long each cast is handled; 0: not a moment. */
  readonly holdMs?: number;
  /** One in so many casts crashes the actor, and again when it is tried again. 0: none. */
  readonly poisonOneIn?: number;
}

export const sink = defineActor(import.meta.url, SinkProtocol, {
  supervision: { intensity: 1_000, periodMs: 1_000 },
  setup: ({ config, clock }) => {
    const given = config as SinkConfig;
    const { ledger, holdMs = 0, poisonOneIn = 0 } = given;
    const handle = (item: Item): void | Promise<void> => {
      if (poisonOneIn > 0 && item.n % poisonOneIn === poisonOneIn - 1) {
        throw new InvariantViolation("a poisonous message");
      }
      if (holdMs === 0) return ledger.handle(item);
      return new Promise<void>((resolve) => {
        clock.after(holdMs, resolve);
      }).then(() => ledger.handle(item));
    };
    return { handle };
  },
  receive: {
    urgent: ({ handle }, item) => handle(item),
    note: ({ handle }, item) => handle(item),
    bulk: ({ handle }, item) => handle(item),
    ask: async (_, { value, holdMs }, { clock }, { token }) => {
      if (holdMs > 0) {
        await new Promise<void>((resolve) => {
          clock.after(holdMs, resolve);
          token.onCancel(resolve);
        });
      }
      return value;
    },
    pass: (_, { to, ...ask }, context) =>
      context.forward(context.ref(SinkProtocol, to), "ask", ask),
  },
});

/** What a sender is to do. */
export interface Order {
  readonly to: string;
  readonly lane: ItemLane;
  readonly count: number;
  /** Casts at most so many in a row. */
  readonly burst: number;
  /** "offer": waits for room. */
  readonly how: "cast" | "offer";
}

export const SourceProtocol = protocol("source", {
  send: cast<Order>(),
});

export interface SourceConfig {
  readonly ledger: Ledger;
}

function castOne(ledger: Ledger, ref: ActorRef<SinkMessages>, item: Item): void {
  if (!ref.cast(item.lane, item)) ledger.refused += 1;
}

/** Sends in bursts and lets others in between. */
export const source = defineActor(import.meta.url, SourceProtocol, {
  mailbox: { capacity: 64 },
  setup: ({ config }) => config as SourceConfig,
  receive: {
    send: async ({ ledger }, order, context) => {
      const { to, lane, count, burst, how } = order;
      const target = context.ref(SinkProtocol, to);
      const now = Math.min(count, 1 + ledger.random.integer(burst));
      for (let sent = 0; sent < now; sent++) {
        const item = ledger.item(context.name, to, lane);
        if (how === "cast") castOne(ledger, target, item);
        else await target.offer(lane, item, { deadlineMs: OFFER_DEADLINE_MS });
      }
      if (count > now) context.self.cast("send", { ...order, count: count - now });
    },
  },
});
