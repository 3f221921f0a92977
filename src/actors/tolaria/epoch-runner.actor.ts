/**
 * Tolaria (trainer): owns the tensor engine of its thread and trains the network in short slices,
 * so that between two slices it can be halted and Kasmina can act. After a restart it announces
 * itself and is handed the latest checkpoint.
 */
import { z } from "zod";
import { NissaProtocol } from "../../protocols/actors/durable.ts";
import {
  KasminaProtocol,
  type RunOrder,
  TolariaProtocol,
  WeatherlightProtocol,
} from "../../protocols/actors/growth.ts";
import { type ErrorCode, EsperError } from "../../protocols/errors.ts";
import { type ActorContext, defineActor } from "../../runtime/actor.ts";
import { type DeviceSlot, deviceSlot } from "../../runtime/device/device-slot.ts";
import { type Engine, openEngine } from "../../runtime/device/engine.ts";
import { ENGINE_KINDS } from "../../runtime/device/engine-kind.ts";
import { GrowableNetwork } from "../../runtime/device/network.ts";
import { createRandom } from "../../runtime/random.ts";
import { connectPorts } from "./actor-ports.ts";
import { decodeTraining } from "./checkpoint.ts";
import { LR_POLICIES } from "./learning-rate.ts";
import { Trainer } from "./trainer.ts";

const configSchema = z.strictObject({
  engine: z.enum(ENGINE_KINDS),
  allowSoftwareGpu: z.boolean().default(false),
  lrPolicy: z.enum(LR_POLICIES),
  lrWarmupSteps: z.int().nonnegative(),
});
type Config = z.infer<typeof configSchema>;
type Context = ActorContext<Config, typeof TolariaProtocol.messages>;

interface State {
  readonly engine: Engine;
  readonly slot: DeviceSlot;
  trainer: Trainer | null;
  incarnation: number;
  /** A halt that came before the order must still stop what the order begins. */
  halting: boolean;
}

/** Long enough to amortise a turn of the mailbox, short enough to stop within a blink. */
const SLICE_MS = 8;
const CLIP_NORM = 5;
const SETUP_DEADLINE_MS = 30_000;

/** Failures of a neighbour that is being restarted: Tolaria restarts with it, the run goes on. */
const NEIGHBOUR_FAILURES: ReadonlySet<ErrorCode> = new Set([
  "ACTOR_RESTARTING",
  "ACTOR_STOPPED",
  "HANDLER_FAILED",
]);

function buildNetwork(order: RunOrder, slot: DeviceSlot): GrowableNetwork {
  const { dataset, options, identity } = order;
  return GrowableNetwork.create(slot.engine, {
    inputShape: dataset.inputShape,
    outputUnits: dataset.target.kind === "classes" ? dataset.target.classes.length : 1,
    task: dataset.task,
    host: options.host,
    optimizer: {
      kind: options.optimizer,
      weightDecay: options.weightDecay,
      clipNorm: CLIP_NORM,
    },
    random: createRandom(identity.seed, "init"),
  });
}

async function prepare(order: RunOrder, slot: DeviceSlot, ctx: Context): Promise<Trainer> {
  slot.network?.dispose();
  const resumed =
    order.checkpoint === null ? null : decodeTraining(order.checkpoint, "the checkpoint");
  const network =
    resumed === null
      ? buildNetwork(order, slot)
      : GrowableNetwork.restore(slot.engine, resumed.network);
  slot.network = network;
  slot.validation = order.dataset.validation;
  const step = resumed?.progress.step ?? 0;
  const { identity } = order;
  const deadline = {
    deadlineMs: SETUP_DEADLINE_MS,
    onRestart: "retry",
    token: ctx.token,
  } as const;
  await ctx
    .ref(NissaProtocol)
    .call("rewind", { step, incarnation: identity.incarnation }, deadline);
  const snapshot = resumed?.kasmina ?? null;
  await ctx.ref(KasminaProtocol).call("attach", { identity, snapshot }, deadline);
  return new Trainer(
    order,
    network,
    connectPorts(order, ctx),
    ctx.clock,
    ctx.config,
    resumed,
    network.tensors(),
  );
}

/** Tells Weatherlight; a failure to tell is a bug and restarts the actor. */
async function reportFailure(state: State, error: EsperError, ctx: Context): Promise<void> {
  state.trainer = null;
  ctx.log.error({ code: error.code }, error.message);
  const { code, message } = error;
  await ctx
    .ref(WeatherlightProtocol)
    .call(
      "failed",
      { incarnation: state.incarnation, code, message },
      { deadlineMs: SETUP_DEADLINE_MS, onRestart: "retry" },
    );
}

async function trainSlice(trainer: Trainer, ctx: Context): Promise<boolean> {
  const untilMs = ctx.clock.monotonicMs() + SLICE_MS;
  do {
    const reason = await trainer.step();
    if (reason !== null) {
      await trainer.finish(reason);
      return true;
    }
  } while (ctx.clock.monotonicMs() < untilMs);
  return false;
}

/** Trains the network, step by step, and asks for decisions on the way. */
export const tolaria = defineActor(import.meta.url, TolariaProtocol, {
  config: configSchema,
  mailbox: { capacity: 64 },

  async setup(ctx): Promise<State> {
    const { engine: kind, allowSoftwareGpu } = ctx.config;
    const engine = await openEngine(kind, { allowSoftwareGpu });
    const slot = ctx.resource(deviceSlot, () => ({ engine, network: null, validation: null }));
    slot.engine = engine;
    ctx.log.info({ engine: engine.kind }, engine.description);
    ctx.ref(WeatherlightProtocol).cast("ready", { actor: ctx.name, starts: ctx.starts });
    return { engine, slot, trainer: null, incarnation: 0, halting: false };
  },

  stop({ engine, slot }) {
    slot.network?.dispose();
    slot.network = null;
    engine.dispose();
  },

  receive: {
    async begin(state, order, ctx, { token }) {
      // Its network goes now, whatever becomes of this order.
      state.trainer = null;
      const trainer = await prepare(order, state.slot, ctx);
      token.throwIfCancelled();
      state.incarnation = order.identity.incarnation;
      state.trainer = trainer;
      if (state.halting) state.trainer.requestStop();
      ctx.self.cast("work", null);
      return null;
    },

    async work(state, _payload, ctx) {
      const { trainer } = state;
      if (trainer === null) return;
      try {
        if (await trainSlice(trainer, ctx)) state.trainer = null;
        else ctx.self.cast("work", null);
      } catch (error) {
        // Being stopped: what comes after a restart continues from the latest checkpoint.
        if (ctx.token.cancelled && EsperError.is(error)) return;
        if (!EsperError.is(error) || NEIGHBOUR_FAILURES.has(error.code)) {
          throw new Error("training was interrupted", { cause: error });
        }
        await reportFailure(state, error, ctx);
      }
    },

    halt(state, { reason }, ctx) {
      ctx.log.info({ reason }, "halting at the next boundary");
      state.halting = true;
      state.trainer?.requestStop();
      return { step: state.trainer?.currentStep ?? 0 };
    },
  },
});
