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
import { CheckpointLane } from "./checkpoint-lane.ts";
import type { Capture, TrainerPorts } from "./ports.ts";
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

/** The buffers that go over to the receiver instead of being copied. */
function buffersOf({ arrays }: Capture["checkpoint"]): ArrayBuffer[] {
  const buffers = Object.values(arrays).map(({ buffer }) => buffer);
  return [...new Set(buffers.filter((buffer) => buffer instanceof ArrayBuffer))];
}

/** Checkpoints leave the training path; a rewind to one keeps the rows up to its step. */
function checkpointPort(order: RunOrder, rows: RowSink, ctx: Context): TrainerPorts["checkpoint"] {
  const weatherlight = ctx.ref(WeatherlightProtocol);
  const { incarnation } = order.identity;
  const { clock, metrics } = ctx;
  const send = async ({ step, final, checkpoint: state }: Capture): Promise<void> => {
    const startedMs = clock.monotonicMs();
    // What was given away cannot be sent twice: only the last one, which is copied, is repeated.
    const how = final
      ? ({ onRestart: "retry" } as const)
      : ({ onRestart: "fail", transfer: buffersOf(state) } as const);
    const payload = { incarnation, step, final, state };
    const options = { deadlineMs: STORAGE_DEADLINE_MS, ...how };
    const { stored } = await weatherlight.call("checkpoint", payload, options);
    if (!stored) return;
    metrics.count("tolaria.checkpoint.written_total");
    metrics.observe("tolaria.checkpoint.write_ms", clock.monotonicMs() - startedMs);
  };
  const lane = new CheckpointLane({
    send,
    failed({ step }, error) {
      metrics.count("tolaria.checkpoint.failures_total", { code: error.code });
      ctx.emit("checkpoint.failed", "ERROR", { step, code: error.code, why: error.message });
    },
    superseded: () => metrics.count("tolaria.checkpoint.superseded_total"),
  });
  return async (capture) => {
    metrics.observe("tolaria.checkpoint.capture_ms", capture.tookMs);
    // The rows up to the checkpoint's step must be on disk before it.
    const flushed = rows.flush();
    if (capture.final) await lane.finish(capture, flushed);
    else lane.offer(capture, flushed);
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
    flush: () => rows.flush(),
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
