/** The work that the cancellation soak cancels: steps that can be counted, a poll before each. */
import { type CancellationToken, systemClock } from "esper-runtime";
import { Board } from "./board.ts";

/** One job: where it leaves its effects, and how long it works. */
export interface StepOrder {
  readonly place: number;
  readonly limitMs: number;
  /** It never looks at its token. */
  readonly stubborn: boolean;
}

/** Writes step after step until its time is over. @throws {CANCELLED} */
export function step(
  memory: SharedArrayBuffer,
  order: StepOrder,
  token: CancellationToken,
): number {
  const board = new Board(memory);
  const endsAtMs = systemClock.monotonicMs() + order.limitMs;
  while (systemClock.monotonicMs() < endsAtMs) {
    if (!order.stubborn && token.cancelled) {
      board.notice(order.place, systemClock.monotonicMs());
      token.throwIfCancelled();
    }
    board.write(order.place);
  }
  return board.written(order.place);
}
