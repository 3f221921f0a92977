/** The training loop's ports, connected to the other actors by calls with deadlines. */
import { NissaProtocol } from "../../protocols/actors/durable.ts";
import {
  KasminaProtocol,
  type RunOrder,
  TamiyoProtocol,
  type TolariaProtocol,
  WeatherlightProtocol,
} from "../../protocols/actors/growth.ts";
import { EsperError } from "../../protocols/errors.ts";
import type { ActorContext } from "../../runtime/actor.ts";
import type { TrainerPorts } from "./ports.ts";
import { RowSink } from "./row-sink.ts";

type Context = ActorContext<unknown, typeof TolariaProtocol.messages>;

const DEVICE_DEADLINE_MS = 10_000;
const STORAGE_DEADLINE_MS = 30_000;

/** Asks the controller; a missing answer is a miss, never an error of the training. */
function decidePort(order: RunOrder, ctx: Context): TrainerPorts["decide"] {
  const tamiyo = ctx.ref(TamiyoProtocol);
  return async (packet) => {
    const startedMs = ctx.clock.monotonicMs();
    try {
      const deadlineMs = order.options.decisionDeadlineMs;
      const options = { deadlineMs, onRestart: "retry", token: ctx.token } as const;
      const decision = await tamiyo.call("decide", { packet }, options);
      ctx.metrics.observe("tolaria.tamiyo.latency_ms", ctx.clock.monotonicMs() - startedMs);
      return decision;
    } catch (error) {
      // Cancelled is the trainer's own end, not the controller's silence: no miss to replay.
      if (!EsperError.is(error) || error.code === "CANCELLED") throw error;
      const timeout = error.code === "DEADLINE_EXCEEDED";
      ctx.metrics.count("tolaria.timeout.tamiyo_total");
      ctx.emit(timeout ? "tolaria.tamiyo_timeout" : "tolaria.tamiyo_error", "WARNING", {
        step: packet.globalStep,
        code: error.code,
        error: error.message,
      });
      return null;
    }
  };
}

/** One checkpoint at a time leaves the training path; the next one waits for it. */
function checkpointPort(order: RunOrder, rows: RowSink, ctx: Context): TrainerPorts["checkpoint"] {
  const weatherlight = ctx.ref(WeatherlightProtocol);
  const { incarnation } = order.identity;
  let previous: Promise<unknown> = Promise.resolve();
  return async (step, bytes, final) => {
    // A rewind to this checkpoint keeps the rows up to its step: they must be on disk first.
    await rows.flush();
    await previous;
    previous = weatherlight.call(
      "checkpoint",
      { incarnation, step, final, bytes },
      { deadlineMs: STORAGE_DEADLINE_MS, onRestart: "retry" },
    );
    previous.catch(() => undefined);
    if (final) await previous;
  };
}

export function connectPorts(order: RunOrder, ctx: Context): TrainerPorts {
  const { incarnation } = order.identity;
  const kasmina = ctx.ref(KasminaProtocol);
  const nissa = ctx.ref(NissaProtocol);
  const weatherlight = ctx.ref(WeatherlightProtocol);
  // The supervisor stops the trainer when Kasmina fails; waiting for Kasmina then would be in vain.
  const device = { deadlineMs: DEVICE_DEADLINE_MS, token: ctx.token } as const;
  const storage = { deadlineMs: STORAGE_DEADLINE_MS, onRestart: "retry" } as const;
  const rows = new RowSink((batch, list) =>
    nissa.call("record", { incarnation, batch, rows: list }, storage),
  );
  return {
    decide: decidePort(order, ctx),
    apply: async (command, step) =>
      (await kasmina.call("apply", { command, step }, device)).transitions,
    advance: (evidence) => kasmina.call("advance", evidence, device),
    seeds: (step) => kasmina.call("states", { step }, device),
    record: (list) => rows.add(list),
    epoch: (report) => void weatherlight.cast("epoch", { incarnation, ...report }),
    progress: (report) => void weatherlight.cast("progress", { incarnation, ...report }),
    transition: (transition) => void weatherlight.cast("transition", { incarnation, transition }),
    checkpoint: checkpointPort(order, rows, ctx),
    finished: async (result) => {
      await rows.flush();
      await weatherlight.call("finished", { incarnation, result }, storage);
    },
    rejected(step, error) {
      const code = EsperError.is(error) ? error.code : "";
      ctx.emit("tolaria.kasmina_error", "WARNING", { step, code, error: String(error) });
    },
  };
}
