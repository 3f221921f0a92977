/** Waits out the restart of a receiver, within the deadline of the call. */
import { EsperError } from "../../protocols/errors.ts";
import type { Clock } from "../clock.ts";
import type { Random } from "../random.ts";
import type { CancellationToken } from "../token.ts";

const FIRST_RETRY_MS = 5;
const LONGEST_RETRY_MS = 200;

export interface RetryParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly deadlineAtMs: number;
  /** `actor.message`, for messages to people. */
  readonly what: string;
  /** True when no retry can help any more. */
  readonly isOver: () => boolean;
}

/** @throws what the last attempt threw @throws {CANCELLED} */
export async function callWithRetry(
  attempt: () => Promise<unknown>,
  parts: RetryParts,
  token: CancellationToken | undefined,
): Promise<unknown> {
  const { clock, random, deadlineAtMs } = parts;
  let pauseMs = FIRST_RETRY_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const again =
        EsperError.is(error, "ACTOR_RESTARTING") || EsperError.is(error, "MAILBOX_FULL");
      const leftMs = deadlineAtMs - clock.monotonicMs();
      if (!again || leftMs <= pauseMs || parts.isOver()) throw error;
      await pause(pauseMs * (0.75 + random.next() / 2), parts, token);
      pauseMs = Math.min(LONGEST_RETRY_MS, pauseMs * 2);
    }
  }
}

function pause(
  pauseMs: number,
  { clock, what }: RetryParts,
  token: CancellationToken | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let withdraw: (() => void) | undefined;
    const timer = clock.after(pauseMs, () => {
      withdraw?.();
      resolve();
    });
    withdraw = token?.onCancel(() => {
      timer.cancel();
      reject(new EsperError("CANCELLED", `${what} was cancelled`, { reason: token.reason }));
    });
  });
}
