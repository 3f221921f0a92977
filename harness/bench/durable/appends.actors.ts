/**
 * Actors that append to the log's writer: as fast as the answers come, with a bounded number in
 * flight, or at a steady rate whether or not answers come.
 */
import {
  type ActorContext,
  type ActorRef,
  cast,
  defineActor,
  protocol,
  WalProtocol,
} from "esper-runtime";
import { CollectorProtocol } from "../runtime/collector.actors.ts";
import { instantMs } from "../runtime/instant.ts";

/** Bytes of a record. */
export const RECORD_BYTES = 256;
const DEADLINE_MS = 60_000;
const TICK_MS = 1;

export const ProducerProtocol = protocol("append-producer", {
  /** Appends `count` records, `inFlight` of them without an answer at any time. */
  burst: cast<{ readonly count: number; readonly inFlight: number }>(),
  /** Appends `rate` records a second for so long. */
  steady: cast<{ readonly rate: number; readonly seconds: number }>(),
});

interface State {
  readonly wal: ActorRef<typeof WalProtocol.messages>;
  readonly name: string;
  readonly bytes: Uint8Array;
  sent: number;
  faults: number;
}

type Context = ActorContext<unknown, typeof ProducerProtocol.messages>;

async function append(state: State): Promise<void> {
  const recordId = `${state.name}/${state.sent++}`;
  const record = { recordId, timeMs: Date.now(), bytes: state.bytes };
  const { sequence } = await state.wal.call("appendOne", record, { deadlineMs: DEADLINE_MS });
  if (!(sequence > 0)) state.faults += 1;
}

function report(state: State, context: Context, startedAtMs: number, operations: number): void {
  const { faults } = state;
  const outcome = { startedAtMs, endedAtMs: instantMs(), operations, faults };
  context.ref(CollectorProtocol, "collector").cast("report", outcome);
}

/** A measurement that failed is told at once: nobody waits for one that will not come. */
async function told(state: State, context: Context, work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    state.faults += 1;
    report(state, context, instantMs(), 0);
    throw error;
  }
}

async function burst(
  state: State,
  { count, inFlight }: { readonly count: number; readonly inFlight: number },
  context: Context,
): Promise<void> {
  const startedAtMs = instantMs();
  const until = state.sent + count;
  const lane = async (): Promise<void> => {
    while (state.sent < until) await append(state);
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  report(state, context, startedAtMs, count);
}

async function steady(
  state: State,
  { rate, seconds }: { readonly rate: number; readonly seconds: number },
  context: Context,
): Promise<void> {
  const startedAtMs = instantMs();
  const wanted = Math.round(rate * seconds);
  const latencies = new Float64Array(wanted);
  const waiting: Promise<void>[] = [];
  let begun = 0;
  const one = async (): Promise<void> => {
    const index = begun++;
    const sentMs = performance.now();
    try {
      await append(state);
    } catch {
      // Refused: too many wait. It is one fault of many, and nobody waits for it before the end.
      state.faults += 1;
    }
    latencies[index] = 1_000 * (performance.now() - sentMs);
  };
  while (begun < wanted) {
    const due = Math.min(wanted, Math.ceil(((instantMs() - startedAtMs) / 1_000) * rate));
    while (begun < due) waiting.push(one());
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  await Promise.all(waiting);
  context.ref(CollectorProtocol, "collector").cast("latencies", latencies);
  report(state, context, startedAtMs, wanted);
}

export const appendProducer = defineActor(import.meta.url, ProducerProtocol, {
  setup(context): State {
    const state = {
      wal: context.ref(WalProtocol, "wal"),
      // Ids are unique for ever, also those of an earlier life.
      name: `${context.name}.${context.starts}`,
      bytes: new Uint8Array(RECORD_BYTES).fill(0x5a),
      sent: 0,
      // What it had begun in its earlier life is lost, and with it the measurement.
      faults: context.starts - 1,
    };
    if (state.faults > 0) report(state, context, instantMs(), 0);
    return state;
  },
  receive: {
    burst: (state, order, context) => told(state, context, burst(state, order, context)),
    steady: (state, order, context) => told(state, context, steady(state, order, context)),
  },
});
