/**
 * Nissa (telemetry collector): keeps the run's events, metric rows and metric snapshots. A batch
 * that is sent again after a restart is taken once. A full disk is an error of the sender's call
 * with nothing half-written, so that training ends with a clear reason instead of going on blind.
 */
import { z } from "zod";
import { NissaProtocol } from "../../protocols/actors/durable.ts";
import { defineActor } from "../../runtime/actor.ts";
import { systemFiles } from "../../runtime/durable/files.ts";
import { Collector } from "./collector.ts";

const configSchema = z.strictObject({
  /** The run's directory. */
  directory: z.string().min(1),
});

/** Collects the telemetry of all actors and writes it to the run directory. */
export const nissa = defineActor(import.meta.url, NissaProtocol, {
  config: configSchema,

  async setup(ctx): Promise<Collector> {
    const collector = await Collector.open(systemFiles, ctx.config.directory);
    for (const { file, why } of collector.repairs) {
      ctx.log.warn({ file, why }, "a telemetry file was repaired");
      ctx.emit("nissa.repaired", "WARNING", { file, why });
    }
    return collector;
  },

  receive: {
    async ingest(collector, batch, ctx) {
      return { acknowledged: await collector.ingest(batch, ctx.clock.nowMs()) };
    },

    async record(collector, { incarnation, batch, rows }) {
      return { acknowledged: await collector.record(incarnation, batch, rows) };
    },

    async rewind(collector, { step, incarnation }, ctx) {
      const removed = await collector.rewind(step, incarnation);
      if (removed > 0) ctx.log.info({ step, removed }, "rows of a given-up future removed");
      return { removed };
    },

    summary: (collector) => collector.summary(),
  },

  stop: (collector) => collector.close(),
});
