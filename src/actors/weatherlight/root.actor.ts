/**
 * Weatherlight (root): follows the run on the main thread. Whenever the trainer has (re)started it
 * hands over the order to begin or to continue; reports of an earlier incarnation are ignored.
 */
import { z } from "zod";
import { FieldReportsProtocol } from "../../protocols/actors/durable.ts";
import { TolariaProtocol, WeatherlightProtocol } from "../../protocols/actors/growth.ts";
import type { MessageMap } from "../../protocols/protocol.ts";
import { type ActorContext, defineActor } from "../../runtime/actor.ts";
import type { RunHost } from "../../runtime/run/run-host.ts";

const BEGIN_DEADLINE_MS = 60_000;
const END_DEADLINE_MS = 1_500;

/** The last commands are judged by what was seen; that it fails must not fail the run. */
async function endObservation(ctx: ActorContext<unknown, MessageMap>): Promise<void> {
  try {
    await ctx.ref(FieldReportsProtocol).call("endRun", {}, { deadlineMs: END_DEADLINE_MS });
  } catch (error) {
    ctx.log.warn({ error: String(error) }, "the last observation windows stay open");
  }
}

/** Begins and ends a run, and tells the process what becomes of it. */
export const weatherlight = defineActor(import.meta.url, WeatherlightProtocol, {
  config: z.strictObject({ host: z.custom<RunHost>((value) => typeof value === "object") }),
  mailbox: { capacity: 4_096 },
  setup: () => null,
  receive: {
    async ready(_state, { actor, starts }, ctx) {
      ctx.log.info({ actor, starts }, "trainer is ready");
      const order = await ctx.config.host.nextOrder(starts);
      if (order === null) return;
      await ctx
        .ref(TolariaProtocol)
        .call("begin", order, { deadlineMs: BEGIN_DEADLINE_MS, onRestart: "fail" })
        // The trainer announces itself again after a restart, so a lost order needs no retry.
        .catch((error: unknown) => {
          ctx.log.warn({ error: String(error) }, "the trainer did not take the order");
        });
    },
    epoch(_state, { incarnation, ...report }, ctx) {
      if (ctx.config.host.current(incarnation)) ctx.config.host.epoch(report);
    },
    progress(_state, { incarnation, ...report }, ctx) {
      if (ctx.config.host.current(incarnation)) ctx.config.host.progress(report);
    },
    transition(_state, { incarnation, transition }, ctx) {
      if (ctx.config.host.current(incarnation)) ctx.config.host.transition(transition);
    },
    checkpoint(_state, { incarnation, step, final, state }, ctx) {
      const { host } = ctx.config;
      if (!host.current(incarnation)) return { stored: false };
      // A slow disk must hold up neither the news of the run nor its end.
      return ctx.answerLater(
        host.storeCheckpoint(step, state, final).then((stored) => ({ stored })),
      );
    },
    restore(_state, { incarnation, upToStep }, ctx) {
      const { host } = ctx.config;
      return host.current(incarnation) ? ctx.answerLater(host.restore(upToStep)) : null;
    },
    async rollback(_state, { incarnation, step, missedDecisions }, ctx) {
      const { host } = ctx.config;
      if (!host.current(incarnation)) return null;
      ctx.log.warn({ step, incarnation }, "the trainer goes back to an earlier step");
      return await host.rollBack(missedDecisions);
    },
    async finished(_state, { incarnation, result }, ctx) {
      if (!ctx.config.host.current(incarnation)) return null;
      // One that was stopped may be resumed: its commands are observed on.
      if (result.outcome !== "stopped") await endObservation(ctx);
      ctx.config.host.finished(result);
      return null;
    },
    failed(_state, { incarnation, code, message }, ctx) {
      if (ctx.config.host.current(incarnation)) ctx.config.host.failed(code, message);
      return null;
    },
  },
});
