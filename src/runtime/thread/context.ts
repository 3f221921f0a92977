/** Builds the context through which one life of an actor reaches the world. */
import type { TelemetryLevelName } from "../../protocols/errors.ts";
import type { Attributes } from "../../protocols/leyline/telemetry.ts";
import type { MessageMap, Protocol } from "../../protocols/protocol.ts";
import type { ActorContext, Logger, ResourceKey } from "../actor.ts";
import type { Clock, Timer } from "../clock.ts";
import { createGuard } from "../guard.ts";
import { createRandom } from "../random.ts";
import type { SourceMeter } from "../telemetry/meter.ts";
import { CancellationToken } from "../token.ts";
import { type Instance, isPromiseLike, type LoadedActor } from "./cell-parts.ts";
import type { Router } from "./router.ts";
import type { LogLevel } from "./types.ts";

/** What a context takes from the thread it lives in. */
export interface ContextParts {
  readonly clock: Clock;
  readonly runSeed: number;
  readonly router: Router;
  readonly resources: Map<string, unknown>;
  readonly meter: SourceMeter;
  log(level: LogLevel, actor: string, fields: Attributes, message: string): void;
  emit(actor: string, name: string, level: TelemetryLevelName, attributes: Attributes): void;
  /** A timer of the actor threw. */
  crash(error: unknown): void;
}

export function createInstance(actor: LoadedActor, starts: number, parts: ContextParts): Instance {
  const { name, definition } = actor;
  const token = new CancellationToken();
  const timers = new Timers(parts.clock, parts.crash);
  const emit = (event: string, level: TelemetryLevelName, attributes: Attributes = {}): void =>
    parts.emit(name, event, level, attributes);
  const context: ActorContext<unknown, MessageMap> = {
    name,
    starts,
    config: actor.config,
    self: parts.router.ref(name, definition.protocol, name),
    token,
    clock: parts.clock,
    random: createRandom(parts.runSeed, `actor:${name}`),
    log: createLogger(name, parts),
    metrics: parts.meter,
    guard: createGuard({ emit, count: (metric, labels) => parts.meter.count(metric, labels) }),
    emit,
    ref: <Other extends MessageMap>(protocol: Protocol<Other>, other = protocol.name) =>
      parts.router.ref(name, protocol, other),
    after: (delayMs, fire) => timers.after(delayMs, fire),
    every: (periodMs, fire) => timers.every(periodMs, fire),
    resource: <T>(key: ResourceKey<T>, create: () => T): T => {
      if (!parts.resources.has(key.name)) parts.resources.set(key.name, create());
      return parts.resources.get(key.name) as T;
    },
  };
  const end = (): void => {
    token.cancel();
    timers.cancelAll();
  };
  return { context, token, state: undefined, end };
}

function createLogger(actor: string, parts: ContextParts): Logger {
  return {
    debug: (fields, message) => parts.log("debug", actor, fields, message),
    info: (fields, message) => parts.log("info", actor, fields, message),
    warn: (fields, message) => parts.log("warn", actor, fields, message),
    error: (fields, message) => parts.log("error", actor, fields, message),
  };
}

/** The timers of one life; none fires after `cancelAll`. */
class Timers {
  readonly #clock: Clock;
  readonly #crash: (error: unknown) => void;
  readonly #armed = new Set<Timer>();
  #ended = false;

  constructor(clock: Clock, crash: (error: unknown) => void) {
    this.#clock = clock;
    this.#crash = crash;
  }

  after(delayMs: number, fire: () => void): Timer {
    let timer: Timer | null = null;
    const handle: Timer = {
      cancel: () => {
        timer?.cancel();
        this.#armed.delete(handle);
      },
    };
    if (this.#ended) return handle;
    this.#armed.add(handle);
    timer = this.#clock.after(delayMs, () => {
      if (!this.#armed.delete(handle)) return;
      this.#run(fire);
    });
    return handle;
  }

  /** Fires `periodMs` after the last firing began; a late firing is not made up for. */
  every(periodMs: number, fire: () => void): Timer {
    let current: Timer;
    let cancelled = false;
    const arm = (): void => {
      current = this.after(periodMs, () => {
        if (!cancelled) arm();
        fire();
      });
    };
    arm();
    return {
      cancel: () => {
        cancelled = true;
        current.cancel();
      },
    };
  }

  cancelAll(): void {
    this.#ended = true;
    for (const timer of [...this.#armed]) timer.cancel();
  }

  /** A callback that fails, at once or later, fails its actor. */
  #run(fire: () => unknown): void {
    try {
      const result = fire();
      if (isPromiseLike(result)) result.then(undefined, this.#crash);
    } catch (error) {
      this.#crash(error);
    }
  }
}
