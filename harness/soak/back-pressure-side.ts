/**
 * The back-pressure soak as a process: two producers and one consumer, each in a thread of its own,
 * in every combination of rate, size and overflow. Argument: the request as JSON.
 */
import { type ActorSpec, ActorSystem, actor, supervisor, systemClock } from "esper-runtime";
import { ConsumerProtocol, consumer, ProducerProtocol, producer } from "./flood.actors.ts";
import { type CellResult, runCell } from "./flood-cell.ts";
import { CELLS, cellName, consumerName, OVERFLOWS, PRODUCERS, SIZES } from "./flood-shape.ts";
import { floodVerdicts } from "./flood-verdicts.ts";
import { MemoryTrack, memoryVerdicts, slopesOf } from "./memory.ts";
import { Passes } from "./passes.ts";
import { type SoakReport, SoakRequest, say } from "./report.ts";
import { residueVerdict, settledBelongings } from "./residue.ts";

const MINUTE_MS = 60_000;
const CALL_MS = 30_000;

/** One consumer for each mailbox that is to be tried, all in one thread. */
function children(): Readonly<Record<string, ActorSpec>> {
  const consumers = SIZES.flatMap((size) =>
    OVERFLOWS.map((overflow): [string, ActorSpec] => {
      const mailbox = { capacity: size.capacity, overflow };
      return [consumerName({ size, overflow }), actor(consumer, { thread: "consumer", mailbox })];
    }),
  );
  const producers = PRODUCERS.map((name): [string, ActorSpec] => [
    name,
    actor(producer, { thread: name }),
  ]);
  return Object.fromEntries([...consumers, ...producers]);
}

interface Flooded {
  readonly system: ActorSystem;
  /** Dead letters of an actor so far. */
  readonly dead: (actor: string) => number;
}

async function start(): Promise<Flooded> {
  const letters = new Map<string, number>();
  const system = await ActorSystem.start({
    tree: supervisor({ children: children() }),
    clock: systemClock,
    log: () => {},
    onEvent: (event) => {
      if (event.kind !== "dead-letter") return;
      letters.set(event.actor, (letters.get(event.actor) ?? 0) + event.count);
    },
  });
  return { system, dead: (actorName) => letters.get(actorName) ?? 0 };
}

/** Bytes that are left in all threads after a collection there. */
async function collectThreads(system: ActorSystem): Promise<number> {
  const [size] = SIZES;
  const [overflow] = OVERFLOWS;
  if (size === undefined) throw new Error("there are sizes");
  const name = consumerName({ size, overflow });
  const options = { deadlineMs: CALL_MS };
  const left = await Promise.all([
    system.ref(ConsumerProtocol, name).call("collect", null, options),
    ...PRODUCERS.map((one) => system.ref(ProducerProtocol, one).call("collect", null, options)),
  ]);
  return left.reduce((sum, bytes) => sum + bytes, 0);
}

async function soak(request: SoakRequest): Promise<SoakReport> {
  // What the platform itself starts on first use is no residue.
  await (await start()).system.stop({ graceMs: CALL_MS });
  const before = await settledBelongings();
  const { system, dead } = await start();
  const memory = new MemoryTrack(() => collectThreads(system));
  const results: CellResult[] = [];
  const cells = CELLS.filter((cell) => cellName(cell).includes(request.only));
  const cases = cells.map((cell) => ({
    name: cellName(cell),
    async run() {
      const result = await runCell(system, cell, request.cellSeconds, dead);
      results.push(result);
      await memory.sample(cell.size.name);
      const { p99 } = result.emergencyUs;
      say(`back-pressure: ${result.cell}: emergency p99 ${(p99 / 1_000).toFixed(2)} ms`);
    },
  }));
  const startedMs = performance.now();
  const passes = new Passes("back-pressure", cases);
  do await passes.pass(1);
  while (performance.now() - startedMs < request.minutes * MINUTE_MS);
  const slopes = slopesOf(memory.points);
  const figures = {
    cells: results,
    cells_us: passes.percentiles(),
    memory: { ...slopes, samples: memory.points },
  };
  await system.stop({ graceMs: CALL_MS });
  return {
    figures,
    verdicts: [
      ...floodVerdicts(results, cells, request.cellSeconds),
      ...memoryVerdicts(slopes),
      await residueVerdict(before),
    ],
  };
}

const request = SoakRequest.parse(JSON.parse(process.argv[2] ?? ""));
console.log(JSON.stringify(await soak(request)));
