/** An actor that computes without a pause and polls the token of its call as it should. */
import { call, defineActor, protocol } from "esper-runtime";
import { instantMs } from "./instant.ts";

/** A computation nobody stops is stopped by this. */
const LIMIT_MS = 2_000;

export const BusyProtocol = protocol("busy", {
  /** Computes until the call is cancelled. */
  compute: call<null, number>(),
  /** When the last computation noticed, and how often it had polled before. */
  lastNotice: call<null, { readonly noticedAtMs: number; readonly polls: number }>(),
  /** Nanoseconds of one poll, over `count` polls of a token of another thread. */
  pollCost: call<number, number>(),
});

interface Busy {
  noticedAtMs: number;
  polls: number;
}

export const busy = defineActor(import.meta.url, BusyProtocol, {
  setup: (): Busy => ({ noticedAtMs: Number.NaN, polls: 0 }),
  receive: {
    compute(state, _payload, _context, { token }) {
      const limitAtMs = instantMs() + LIMIT_MS;
      let polls = 0;
      // The clock is read seldom, so that the loop measures the token and not the clock.
      while (!token.cancelled) {
        polls += 1;
        if ((polls & 0xfff) === 0 && instantMs() > limitAtMs) break;
      }
      state.polls = polls;
      state.noticedAtMs = token.cancelled ? instantMs() : Number.NaN;
      return polls;
    },
    lastNotice(state) {
      const { noticedAtMs, polls } = state;
      // A computation that was cancelled before it began leaves no polls behind.
      state.polls = 0;
      return { noticedAtMs, polls };
    },
    pollCost(_state, count, _context, { token }) {
      let cancelled = 0;
      const startedAtMs = instantMs();
      for (let poll = 0; poll < count; poll++) if (token.cancelled) cancelled += 1;
      const tookMs = instantMs() - startedAtMs;
      if (cancelled > 0) throw new Error("the token was cancelled by nobody");
      return (tookMs / count) * 1e6;
    },
  },
});
