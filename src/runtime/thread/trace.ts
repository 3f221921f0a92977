/**
 * The W3C trace context that travels with a message when tracing is on, and how it is written for
 * the world outside. A message without one is not traced, and neither is what its handling sends.
 */
import { EsperError } from "../../protocols/errors.ts";

/** Which span sent a message, and the trace it belongs to. */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits: the span of the sender. */
  readonly spanId: string;
}

/** What is traced and where it goes. */
export interface TracingOptions {
  /** The share of traces that are recorded, 0 to 1; decided once, where a trace begins. */
  readonly sampleRatio: number;
  /** Also sends finished spans to the telemetry collector, at most 100 a second and thread. */
  readonly telemetry?: boolean;
}

const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;
const SAMPLED = 1;

/** The value of a `traceparent` header. */
export function traceparentOf({ traceId, spanId }: TraceContext): string {
  return `00-${traceId}-${spanId}-01`;
}

/** A context from outside, and whether its trace is recorded there. */
export interface ForeignContext extends TraceContext {
  readonly sampled: boolean;
}

/** The context of a `traceparent` header; null unless it is one of version 00 with true ids. */
export function parseTraceparent(text: string): ForeignContext | null {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(text) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return null;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & SAMPLED) !== 0 };
}

/** @throws {CONFIG_INVALID} */
export function checkTracing(tracing: TracingOptions | undefined): TracingOptions | null {
  if (tracing === undefined || tracing.sampleRatio === 0) return null;
  const { sampleRatio } = tracing;
  if (sampleRatio > 0 && sampleRatio <= 1) return tracing;
  const path = "tracing.sampleRatio";
  const allowed = "a number from 0 to 1";
  const text = `${path} is ${String(sampleRatio)}; allowed: ${allowed}`;
  throw new EsperError("CONFIG_INVALID", text, { path, value: String(sampleRatio), allowed });
}
