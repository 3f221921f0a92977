/**
 * Weatherlight (root): follows the run on the main thread. Whenever the trainer has (re)started it
 * hands over the order to begin or to continue; reports of an earlier incarnation are ignored.
 */
import { z } from "zod";
import { TolariaProtocol, WeatherlightProtocol } from "../../protocols/actors/growth.ts";
import { defineActor } from "../../runtime/actor.ts";
import type { RunHost } from "../../runtime/run/run-host.ts";

const BEGIN_DEADLINE_MS = 60_000;

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
    async checkpoint(_state, { incarnation, step, final, bytes }, ctx) {
      if (!ctx.config.host.current(incarnation)) return { stored: false };
      return { stored: await ctx.config.host.storeCheckpoint(step, bytes, final) };
    },
    finished(_state, { incarnation, result }, ctx) {
      if (ctx.config.host.current(incarnation)) ctx.config.host.finished(result);
      return null;
    },
    failed(_state, { incarnation, code, message }, ctx) {
      if (ctx.config.host.current(incarnation)) ctx.config.host.failed(code, message);
      return null;
    },
  },
});
