/**
 * Watches what a thread sends: makes the spans of traced messages and tells the end of every call
 * to whoever listens. While tracing is off and nobody listens it allocates nothing.
 */
import { EsperError } from "../../protocols/errors.ts";
import type { Attributes } from "../../protocols/leyline/telemetry.ts";
import type { Clock } from "../clock.ts";
import { createRandom, type Random } from "../random.ts";
import { slotOf, threadOf } from "../thread/address.ts";
import type { Cells } from "../thread/cells.ts";
import { parseTraceparent, type TraceContext } from "../thread/trace.ts";
import type { HostSeed } from "../thread/wire.ts";
import type { Kind } from "../wire/protocol-table.ts";
import { CHANNELS, hearsCalls, tell } from "./channels.ts";

/** A finished span: one message, and of a call also the wait for its answer. */
export interface Span extends TraceContext {
  /** The span in whose handling the message was sent; null where the trace begins. */
  readonly parentId: string | null;
  /** `actor.message`. */
  readonly name: string;
  readonly kind: "call" | "cast";
  /** The receiver. */
  readonly actor: string;
  /** Of the sender; there the time was measured. */
  readonly thread: string;
  /** Wall time. */
  readonly startMs: number;
  /** Until the call was settled; 0 for casts, whose end nobody waits for. */
  readonly durationMs: number;
  /** `ok`, or the code of the error that settled the call. */
  readonly status: string;
}

export interface CallWatchParts {
  readonly seed: Pick<
    HostSeed,
    "thread" | "threadId" | "epoch" | "runSeed" | "tracing" | "collector"
  >;
  readonly clock: Clock;
  readonly cells: Pick<Cells, "at">;
  /** A span for the telemetry collector. */
  onSpan(attributes: Attributes): void;
  /** The rate of spans is above its bound. */
  onSpanDropped(): void;
}

/** Spans for the collector of one second. */
const SPANS_A_SECOND = 100;
const SECOND_MS = 1_000;

class OpenSpan implements TraceContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string | null;
  readonly startMs: number;

  constructor(traceId: string, spanId: string, parentId: string | null, startMs: number) {
    this.traceId = traceId;
    this.spanId = spanId;
    this.parentId = parentId;
    this.startMs = startMs;
  }
}

export class CallWatch {
  readonly #parts: CallWatchParts;
  readonly #sampleRatio: number;
  readonly #telemetry: boolean;
  readonly #random: Random | null;
  #secondEndsAtMs = 0;
  #spansThisSecond = 0;

  constructor(parts: CallWatchParts) {
    this.#parts = parts;
    const { tracing, runSeed, thread, epoch } = parts.seed;
    this.#sampleRatio = tracing?.sampleRatio ?? 0;
    this.#telemetry = tracing?.telemetry ?? false;
    // With the time in its name, because ids must differ between two runs of one seed.
    const stream = `trace:${thread}:${epoch}:${parts.clock.nowMs()}`;
    this.#random = this.#sampleRatio === 0 ? null : createRandom(runSeed, stream);
  }

  /** False when no message of this thread is ever traced. */
  get isTracing(): boolean {
    return this.#random !== null;
  }

  /** The context a message to `actor` is sent with: a new span, or null when it is not traced. */
  trace(actor: string, kind: Kind, from: number, foreign?: string): TraceContext | null {
    const random = this.#random;
    if (random === null || actor === this.#parts.seed.collector) return null;
    const handled = this.#handledBy(from);
    const given = foreign === undefined ? null : parseTraceparent(foreign);
    if (given !== null && !given.sampled) return null;
    const parent = given ?? handled?.trace ?? null;
    // What an untraced message causes is not traced either: a trace is whole or not there.
    if (parent === null && (handled !== null || random.next() >= this.#sampleRatio)) return null;
    const traceId = parent?.traceId ?? digits(random, 4);
    const startMs = this.#parts.clock.nowMs();
    const span = new OpenSpan(traceId, digits(random, 2), parent?.spanId ?? null, startMs);
    if (!kind.isCall) this.#finish(span, actor, kind, 0, "ok");
    return span;
  }

  /** The context of the message in hand, for a call that goes on to another actor. */
  passOn(from: number): TraceContext | null {
    return this.#random === null ? null : (this.#handledBy(from)?.trace ?? null);
  }

  /** True when the end of a call sent now is of interest to anybody. */
  wants(trace: TraceContext | null): boolean {
    return trace !== null || hearsCalls();
  }

  /** Settles like `sent`, after its end was told. */
  follow(
    actor: string,
    kind: Kind,
    trace: TraceContext | null,
    sent: Promise<unknown>,
  ): Promise<unknown> {
    const { clock } = this.#parts;
    const sentAtMs = clock.monotonicMs();
    const end = (status: string): void => {
      const tookMs = clock.monotonicMs() - sentAtMs;
      if (trace instanceof OpenSpan) this.#finish(trace, actor, kind, tookMs, status);
      this.#tell(actor, kind.name, tookMs, status);
    };
    return sent.then(
      (value) => {
        end("ok");
        return value;
      },
      (error: unknown) => {
        end(error instanceof EsperError ? error.code : "HANDLER_FAILED");
        throw error;
      },
    );
  }

  #tell(actor: string, message: string, tookMs: number, status: string): void {
    const { thread } = this.#parts.seed;
    tell("call", () => ({ actor, thread, message, tookMs, status }));
    if (status === "CANCELLED") tell("cancel", () => ({ actor, thread, message, tookMs }));
  }

  #finish(
    { traceId, spanId, parentId, startMs }: OpenSpan,
    actor: string,
    kind: Kind,
    durationMs: number,
    status: string,
  ): void {
    const isHeard = CHANNELS.span.hasSubscribers;
    if (!isHeard && !this.#telemetry) return;
    const span: Span = {
      ...{ traceId, spanId, parentId, name: `${actor}.${kind.name}` },
      ...{ kind: kind.isCall ? "call" : "cast", actor, thread: this.#parts.seed.thread },
      ...{ startMs, durationMs, status },
    };
    if (isHeard) CHANNELS.span.publish(span);
    if (this.#telemetry) this.#record(span);
  }

  #record(span: Span): void {
    const nowMs = this.#parts.clock.monotonicMs();
    if (nowMs >= this.#secondEndsAtMs) {
      this.#secondEndsAtMs = nowMs + SECOND_MS;
      this.#spansThisSecond = 0;
    }
    this.#spansThisSecond += 1;
    if (this.#spansThisSecond > SPANS_A_SECOND) {
      this.#parts.onSpanDropped();
      return;
    }
    const { traceId, spanId, parentId, name, kind, actor, thread, startMs, durationMs, status } =
      span;
    this.#parts.onSpan({
      ...{ trace_id: traceId, span_id: spanId, parent_id: parentId ?? "", name, kind, actor },
      ...{ thread, start_ms: startMs, duration_ms: durationMs, status },
    });
  }

  /** The message the sender handles; null for a sender that is no actor, or handles none. */
  #handledBy(from: number): { readonly trace: TraceContext | null } | null {
    const slot = slotOf(from);
    // Slot 0 is the thread itself.
    if (slot === 0 || threadOf(from) !== this.#parts.seed.threadId) return null;
    return this.#parts.cells.at(slot)?.active ?? null;
  }
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** `words` times eight random hexadecimal digits, never all zero. */
function digits(random: Random, words: number): string {
  let text = "";
  for (let word = 0; word < words; word++) {
    const value = 1 + random.integer(2 ** 32 - 1);
    // Byte by byte: a number above 2 ** 31 is slow to write as a whole.
    for (const shift of [24, 16, 8, 0]) text += HEX[(value >>> shift) & 0xff];
  }
  return text;
}
