/** One-way messages between two threads, beside `postMessage` with the same payloads. */
import { type ActorSystem, actor } from "esper-runtime";
import { type PortKind, PortPair } from "../peers/port-casts.ts";
import { castConsumer, castProducer, ProducerProtocol } from "./casts.actors.ts";
import { nextReport, rateOf } from "./collector.actors.ts";
import { type BenchOptions, type RuntimeBench, scaled } from "./options.ts";
import type { Kind } from "./payloads.ts";
import { interleave, type Side } from "./rounds.ts";
import { type Bound, type Row, ratioRow } from "./row.ts";
import { withSystem } from "./start-system.ts";

interface Case {
  readonly title: string;
  readonly kind: Kind;
  readonly count: number;
  readonly peers: readonly { readonly kind: PortKind; readonly count: number; bound: Bound }[];
}

const CASES: readonly Case[] = [
  {
    title: "cast, 64 B typed",
    kind: "typed",
    count: 4e6,
    peers: [{ kind: "typed", count: 3e5, bound: { atLeast: 12 } }],
  },
  {
    title: "cast, 64 B body",
    kind: "plain",
    count: 1.2e6,
    peers: [{ kind: "plain", count: 3e5, bound: { atLeast: 4 } }],
  },
  {
    title: "cast, 1 KB nested body",
    kind: "nested",
    count: 1.5e5,
    peers: [{ kind: "nested", count: 6e4, bound: { atLeast: 2.5 } }],
  },
  {
    title: "cast, 64 KiB borrowed",
    kind: "block",
    count: 1e5,
    peers: [
      { kind: "block", count: 2e4, bound: { atLeast: 4 } },
      { kind: "transfer", count: 4e4, bound: { atLeast: 2 } },
    ],
  },
];

function ourSide(system: ActorSystem, { kind, count }: Case, options: BenchOptions): Side {
  return {
    name: "esper",
    unit: "messages/s",
    async measure() {
      const counted = scaled(count, options);
      system.ref(ProducerProtocol, "producer").cast("start", { kind, count: counted });
      return rateOf(await nextReport());
    },
  };
}

/** Threads of their own for each case, so that no case runs in code another one shaped. */
function measureCase(one: Case, options: BenchOptions): Promise<Row[]> {
  options.say(`casts: ${one.title}`);
  const children = {
    consumer: actor(castConsumer, { thread: "two" }),
    producer: actor(castProducer, { thread: "one" }),
  };
  return withSystem(children, async (system) => {
    const pairs = one.peers.map(({ kind }) => new PortPair(kind));
    try {
      const others = one.peers.map(
        ({ kind, count }, index): Side => ({
          name: kind === "transfer" ? "postMessage, transfer" : "postMessage",
          unit: "messages/s",
          measure: () => pairs[index]?.measure(scaled(count, options)) ?? Promise.reject(),
        }),
      );
      const sides = [ourSide(system, one, options), ...others];
      await interleave(sides, 1);
      const [ours, ...figures] = await interleave(sides, options.rounds);
      if (ours === undefined) throw new Error("a side was not measured");
      return figures.map((peer, index) =>
        ratioRow(`${one.title} / ${peer.name}`, ours, peer, one.peers[index]?.bound ?? null),
      );
    } finally {
      await Promise.all(pairs.map((pair) => pair.close()));
    }
  });
}

export const casts: RuntimeBench = {
  name: "casts",
  about: "one-way messages between two threads, beside postMessage and transfer",
  async run(options) {
    const rows: Row[] = [];
    for (const one of CASES) rows.push(...(await measureCase(one, options)));
    return rows;
  },
};
