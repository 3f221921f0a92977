/** What a pool may be asked for, and within which bounds. */
import { EsperError } from "../../protocols/errors.ts";
import { type Clock, MAX_DELAY_MS } from "../clock.ts";
import type { Environment } from "../config/environment.ts";

/** How a pool is made. */
export interface PoolOptions {
  /** "process" for native code that may abort; everything else runs in threads. */
  readonly kind: "threads" | "process";
  readonly workers: number;
  readonly clock: Clock;
  /** Jobs that may wait; one more is refused. Default 1,024. */
  readonly queueCapacity?: number;
  /** From the setting of a running job's token to the end of its worker. Default 250. */
  readonly graceMs?: number;
  /** Bound of each worker's JavaScript heap; buffers lie outside it. Default: the platform's. */
  readonly heapLimitMb?: number;
  /**
   * Many small jobs share a worker and travel in batches. Such jobs are told to stop, never forced;
   * only a worker that answers nothing at all for seconds is replaced.
   */
  readonly cooperative?: boolean;
  /** Variables the workers find in their environment, beside those that name places and locale. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** The same with every default filled in. */
export interface PoolSettings extends Required<Omit<PoolOptions, "heapLimitMb">> {
  readonly heapLimitMb: number | null;
}

const MAX_WORKERS = 256;
const MAX_QUEUE = 1_000_000;
const MIN_HEAP_MB = 16;
const MAX_HEAP_MB = 65_536;

/** Variables without secrets that programs and libraries cannot do without. */
const HARMLESS = /^(PATH|HOME|TMPDIR|TEMP|TMP|TZ|LANG|LC_\w+|LD_LIBRARY_PATH|SystemRoot)$/;

/** @throws {CONFIG_INVALID} unless `value` is a whole number between the bounds. */
function whole(path: string, value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  const allowed = `a whole number from ${min} to ${max}`;
  throw new EsperError("CONFIG_INVALID", `${path} is ${value}; allowed is ${allowed}`, {
    ...{ path, value: String(value), allowed },
  });
}

/** @throws {CONFIG_INVALID} unless `value` is a delay the clock can wait for. */
export function delay(path: string, value: number, minMs: number): number {
  if (typeof value === "number" && value >= minMs && value <= MAX_DELAY_MS) return value;
  const allowed = `milliseconds from ${minMs} to ${MAX_DELAY_MS}`;
  throw new EsperError("CONFIG_INVALID", `${path} is ${value}; allowed are ${allowed}`, {
    ...{ path, value: String(value), allowed },
  });
}

/** @throws {CONFIG_INVALID} naming the first option that is out of its bounds. */
export function checkOptions(options: PoolOptions): PoolSettings {
  const { kind, cooperative = false, heapLimitMb, environment = {} } = options;
  if (kind !== "threads" && kind !== "process") {
    const allowed = ["threads", "process"];
    const text = `pool.kind is ${kind}; allowed are ${allowed.join(", ")}`;
    throw new EsperError("CONFIG_INVALID", text, { path: "pool.kind", value: kind, allowed });
  }
  if (cooperative && kind === "process") {
    const text =
      "pool.cooperative is true; jobs in processes may abort and must not share a worker";
    const details = { path: "pool.cooperative", value: true, allowed: [false] };
    throw new EsperError("CONFIG_INVALID", text, details);
  }
  return {
    kind,
    cooperative,
    environment,
    clock: options.clock,
    workers: whole("pool.workers", options.workers, 1, MAX_WORKERS),
    queueCapacity: whole("pool.queueCapacity", options.queueCapacity ?? 1_024, 1, MAX_QUEUE),
    graceMs: delay("pool.graceMs", options.graceMs ?? 250, 0),
    heapLimitMb:
      heapLimitMb === undefined
        ? null
        : whole("pool.heapLimitMb", heapLimitMb, MIN_HEAP_MB, MAX_HEAP_MB),
  };
}

/** The variables a worker may see: no secret of the product is among them. */
export function workerEnvironment(all: Environment, settings: PoolSettings): Environment {
  const kept = Object.entries(all).filter(([name]) => HARMLESS.test(name));
  return { ...Object.fromEntries(kept), ...settings.environment };
}
