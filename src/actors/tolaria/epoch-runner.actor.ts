/**
 * Tolaria (trainer): owns the tensor engine of its thread and trains the network in short slices,
 * so that between two slices it can be halted and Kasmina can act. After a restart it announces
 * itself and is handed the latest checkpoint. Where rollback is on, broken numbers send it back to
 * the last good state, the way a restart would, a few times before they end the run.
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
import { SnapshotCache } from "../../runtime/durable/snapshot-cache.ts";
import { createRandom } from "../../runtime/random.ts";
import { connectPorts } from "./actor-ports.ts";
import { decodeTraining, type TrainingCheckpoint } from "./checkpoint.ts";
import { LR_POLICIES } from "./learning-rate.ts";
import { findGoodState, RollbackBudget } from "./rollback.ts";
import { type Keepsakes, Trainer } from "./trainer.ts";

const rollbackSchema = z.strictObject({
  enabled: z.boolean(),
  /** Memory for kept states. */
  fastCapMb: z.int().positive(),
  /** How long reading a checkpoint from the disk may take. */
  deadlineMs: z.int().positive(),
  snapshotSteps: z.int().positive(),
});
const NO_ROLLBACK = { enabled: false, fastCapMb: 32, deadlineMs: 250, snapshotSteps: 1 };

const configSchema = z.strictObject({
  engine: z.enum(ENGINE_KINDS),
  allowSoftwareGpu: z.boolean().default(false),
  lrPolicy: z.enum(LR_POLICIES),
  lrWarmupSteps: z.int().nonnegative(),
  rollback: rollbackSchema.default(NO_ROLLBACK),
});
type Config = z.infer<typeof configSchema>;
type Context = ActorContext<Config, typeof TolariaProtocol.messages>;

interface State {
  readonly engine: Engine;
  readonly slot: DeviceSlot;
  trainer: Trainer | null;
  incarnation: number;
  /** What the trainer works at. */
  order: RunOrder | null;
  /** Good states of this life, and the attempts to get past a step that fails. */
  readonly cache: SnapshotCache;
  budget: RollbackBudget;
  /** A halt that came before the order must still stop what the order begins. */
  halting: boolean;
}

/** Long enough to amortise a turn of the mailbox, short enough to stop within a blink. */
const SLICE_MS = 8;
const CLIP_NORM = 5;
const SETUP_DEADLINE_MS = 30_000;
const MIB = 1_048_576;

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

function keepsakesOf({ cache, budget }: State, ctx: Context): Keepsakes | undefined {
  const { enabled, snapshotSteps } = ctx.config.rollback;
  if (!enabled) return undefined;
  return {
    everySteps: snapshotSteps,
    keep(step, checkpoint) {
      const { refused } = cache.put(step, checkpoint);
      ctx.metrics.gauge("tolaria.rollback.fast_bytes", cache.bytes);
      if (refused === null) {
        budget.passed(step);
        return;
      }
      ctx.metrics.count("tolaria.rollback.refused_total");
      ctx.log.warn({ step, code: refused.code }, refused.message);
    },
  };
}

/** Puts the state on the device and everybody in it; null begins anew. */
async function prepare(
  order: RunOrder,
  resumed: TrainingCheckpoint | null,
  state: State,
  ctx: Context,
): Promise<Trainer> {
  const { slot } = state;
  slot.network?.dispose();
  slot.network = null;
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
  const settings = { ...ctx.config, keepsakes: keepsakesOf(state, ctx) };
  return new Trainer(
    order,
    network,
    connectPorts(order, ctx),
    ctx.clock,
    settings,
    resumed,
    network.tensors(),
  );
}

/** The order as it goes on from an earlier step, under a new incarnation; null at the end. */
async function renewedOrder(
  order: RunOrder,
  step: number,
  missed: readonly number[],
  ctx: Context,
): Promise<RunOrder | null> {
  const { identity } = order;
  const payload = { incarnation: identity.incarnation, step, missedDecisions: missed };
  try {
    const renewed = await ctx
      .ref(WeatherlightProtocol)
      .call("rollback", payload, { deadlineMs: SETUP_DEADLINE_MS });
    if (renewed === null) return null;
    const { incarnation, missedDecisions } = renewed;
    return {
      ...order,
      identity: { ...identity, incarnation },
      missedDecisions,
      checkpoint: null,
    };
  } catch (error) {
    // Whether this incarnation is still the run's own is not known now: a restart asks anew.
    throw new Error("the rollback was not confirmed", { cause: error });
  }
}

/** Rows up to the step gone back to are not written again, so none may be lost on its way. */
async function flushed(trainer: Trainer, ctx: Context): Promise<boolean> {
  try {
    await trainer.flush();
    return true;
  } catch (error) {
    if (!EsperError.is(error)) throw error;
    ctx.log.error({ code: error.code }, `no rollback: ${error.message}`);
    return false;
  }
}

/**
 * Back to the last good state, from which training goes on as a restarted run would. False when
 * rollback is off, was tried too often, or there is no good state: `failure` stands then.
 */
async function rollBack(
  state: State,
  trainer: Trainer,
  failure: EsperError,
  ctx: Context,
): Promise<boolean> {
  const { order, cache, budget } = state;
  const { enabled, deadlineMs } = ctx.config.rollback;
  const failedStep = trainer.currentStep + 1;
  if (!enabled || order === null || !budget.spend(failedStep)) return false;
  const weatherlight = ctx.ref(WeatherlightProtocol);
  const { incarnation } = order.identity;
  const found = await findGoodState(trainer.currentStep, {
    cache,
    restore: (upToStep) => weatherlight.call("restore", { incarnation, upToStep }, { deadlineMs }),
    clock: ctx.clock,
    metrics: ctx.metrics,
    emit: ctx.emit,
  });
  const { state: good, tier, latencyMs, error } = found;
  if (good === null) return false;
  const { step } = good.progress;
  if (!(await flushed(trainer, ctx))) return false;
  const renewed = await renewedOrder(order, step, trainer.missedDecisions, ctx);
  state.trainer = null;
  if (renewed === null) return true;
  state.incarnation = renewed.identity.incarnation;
  state.order = renewed;
  cache.dropAfter(step);
  try {
    state.trainer = await prepare(renewed, good, state, ctx);
  } catch (cause) {
    // The old life is over and the new one has not begun: only a restart knows what to do.
    throw new Error("the rollback was interrupted", { cause });
  }
  if (state.halting) state.trainer.requestStop();
  ctx.emit("tolaria.rollback", "WARNING", {
    ...{ step, failed_step: failedStep, tier, latency_ms: latencyMs, attempt: budget.attempts },
    ...{ why: failure.message, error: error ?? "" },
  });
  ctx.self.cast("work", null);
  return true;
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

/** Back to a good state, to the supervisor, or to whoever waits for the run. */
async function settleFailure(
  state: State,
  trainer: Trainer,
  error: unknown,
  ctx: Context,
): Promise<void> {
  // Being stopped: what comes after a restart continues from the latest checkpoint.
  if (ctx.token.cancelled && EsperError.is(error)) return;
  if (!EsperError.is(error) || NEIGHBOUR_FAILURES.has(error.code)) {
    throw new Error("training was interrupted", { cause: error });
  }
  const isBroken = error.code === "LOSS_NOT_FINITE";
  if (isBroken && (await rollBack(state, trainer, error, ctx))) return;
  await reportFailure(state, error, ctx);
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
    return {
      ...{ engine, slot, trainer: null, incarnation: 0, order: null, halting: false },
      cache: new SnapshotCache(ctx.config.rollback.fastCapMb * MIB),
      budget: new RollbackBudget(),
    };
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
      // Another order may be another run.
      state.cache.dropAfter(-1);
      state.budget = new RollbackBudget();
      const { checkpoint } = order;
      const resumed = checkpoint === null ? null : decodeTraining(checkpoint, "the checkpoint");
      const trainer = await prepare(order, resumed, state, ctx);
      token.throwIfCancelled();
      state.incarnation = order.identity.incarnation;
      state.order = { ...order, checkpoint: null };
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
        await settleFailure(state, trainer, error, ctx);
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
