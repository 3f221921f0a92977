/**
 * An actor on a thread of its own that fails in every way while messages keep coming: each message
 * that was accepted is handled once or is a dead letter, never both, never twice, never neither.
 */
import { ActorSystem, actor, EsperError, sleep, supervisor, systemClock } from "esper-runtime";
import { board, VictimProtocol, victim } from "./message-drill-actor.ts";

/** What the mailbox is made of. */
export type MailboxKind = "heap" | "ring";

export interface MessageDrill {
  readonly messages: number;
  readonly mailbox: MailboxKind;
  readonly faults: readonly string[];
}

/** What became of the messages. */
export interface Conservation {
  readonly accepted: number;
  readonly handled: number;
  /** Handled more than once. */
  readonly duplicated: number;
  /** Handled after one that was sent later. */
  readonly disordered: number;
  readonly deadLetters: Readonly<Record<string, number>>;
  /** Accepted and neither handled nor a dead letter. */
  readonly lost: number;
  readonly restarts: number;
  readonly strikes: number;
  readonly wallMs: number;
}

const CAPACITY = 1_024;
const OFFER_MS = 10_000;
const SETTLE_MS = 30_000;
/** It fails often, on purpose; after this period the pause before a restart is short again. */
const OFTEN = { intensity: 1_000, periodMs: 1 };

/** Sends every message once it is accepted, in order, and waits until each has its end. */
export async function runMessageDrill(drill: MessageDrill): Promise<Conservation> {
  const { messages, mailbox, faults } = drill;
  const startedMs = systemClock.monotonicMs();
  const memory = board.allocate(messages);
  const deadLetters: Record<string, number> = {};
  const place = {
    ...{ thread: "victim", config: () => ({ board: memory }), supervision: OFTEN },
    mailbox: { capacity: CAPACITY, overflow: "wait", kind: mailbox },
  } as const;
  const system = await ActorSystem.start({
    tree: supervisor({ ...OFTEN, children: { victim: actor(victim, place) } }),
    ...{ clock: systemClock, faults, spares: 1, log: () => undefined },
    threadOptions: { victim: { stuckMs: 1_000, graceMs: 100, heapLimitMb: 32 } },
    onEvent(event) {
      if (event.kind !== "dead-letter") return;
      deadLetters[event.reason] = (deadLetters[event.reason] ?? 0) + event.count;
    },
  });
  const ref = system.ref(VictimProtocol, "victim");
  try {
    for (let id = 0; id < messages; id++) await accept(() => ref.offer("take", { id }, OFFER));
    const dead = (): number => Object.values(deadLetters).reduce((sum, count) => sum + count, 0);
    const endsAtMs = systemClock.monotonicMs() + SETTLE_MS;
    while (board.handled(memory) + dead() < messages && systemClock.monotonicMs() < endsAtMs) {
      await sleep(systemClock, 20);
    }
    // What would be too much comes late: it must have had its time to come.
    await sleep(systemClock, 200);
    const handled = board.handled(memory);
    return {
      ...{ accepted: messages, handled, deadLetters: { ...deadLetters } },
      ...{ duplicated: board.duplicated(memory), disordered: board.disordered(memory) },
      lost: messages - handled - dead(),
      strikes: system.faults.reduce((sum, fault) => sum + fault.strikes, 0),
      restarts: system.restarts,
      wallMs: systemClock.monotonicMs() - startedMs,
    };
  } finally {
    await system.stop({ graceMs: 5_000 });
  }
}

const OFFER = { deadlineMs: OFFER_MS };

/** Tries again while the thread is being replaced; a refused offer was not accepted. */
async function accept(offer: () => Promise<void>): Promise<void> {
  const endsAtMs = systemClock.monotonicMs() + SETTLE_MS;
  for (;;) {
    try {
      await offer();
      return;
    } catch (error) {
      const again = EsperError.is(error, "ACTOR_RESTARTING");
      if (!again || systemClock.monotonicMs() > endsAtMs) throw error;
      await sleep(systemClock, 2);
    }
  }
}
