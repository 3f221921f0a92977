/** The meters of one thread, and the outbox by which they and all events reach the collector. */
import { NissaProtocol } from "../../protocols/actors/durable.ts";
import type { Clock } from "../clock.ts";
import { SourceMeter } from "../telemetry/meter.ts";
import { Outbox } from "../telemetry/outbox.ts";
import type { Host } from "./host.ts";
import type { HostSeed } from "./wire.ts";

/** How long the collector may take to store one batch, a restart of it included. */
const INGEST_DEADLINE_MS = 5_000;

export class Instruments {
  /** What the runtime measures about itself in this thread. */
  readonly runtime: SourceMeter;
  /** Null when no collector is configured. */
  readonly outbox: Outbox | null;
  readonly #meters = new Map<string, SourceMeter>();

  constructor(seed: HostSeed, clock: Clock, host: Pick<Host, "ref">) {
    this.runtime = new SourceMeter(`runtime:${seed.thread}`);
    this.outbox = seed.collector === null ? null : this.#createOutbox(seed, clock, host);
  }

  /** The meter of an actor; it survives restarts of the actor. */
  meter(actor: string): SourceMeter {
    const known = this.#meters.get(actor);
    if (known !== undefined) return known;
    const meter = new SourceMeter(actor);
    this.#meters.set(actor, meter);
    return meter;
  }

  onCallSettled(actor: string, tookMs: number): void {
    this.runtime.observe("runtime.call_ms", tookMs, { actor });
  }

  onLateReply(): void {
    this.runtime.count("runtime.late_replies_total");
  }

  /** Hands what changed since the last time to the outbox. */
  send(): void {
    const meters = [this.runtime, ...this.#meters.values()];
    this.outbox?.record(meters.flatMap((meter) => meter.collect()));
  }

  #createOutbox(seed: HostSeed, clock: Clock, host: Pick<Host, "ref">): Outbox {
    const { incarnation, thread, epoch } = seed;
    const collector = host.ref(NissaProtocol, seed.collector ?? "nissa");
    return new Outbox({
      source: `${incarnation}.${thread}.${epoch}`,
      clock,
      send: (batch) =>
        collector.call("ingest", batch, { deadlineMs: INGEST_DEADLINE_MS, onRestart: "retry" }),
      onDropped: (count, reason) =>
        this.runtime.count("runtime.telemetry_dropped_total", { reason }, count),
    });
  }
}
