/**
 * What is done to the main job, and what it promises then. The same failure strikes at the same
 * message in every run, so that a broken promise can be looked at again.
 */
import { GRACE_MS, STUCK_MS } from "./disturbed-run.ts";

export interface ActorCase {
  readonly name: string;
  readonly about: string;
  readonly inject: readonly string[];
  /** To the last restart, on two cores that have other work too. */
  readonly recoveryMs: number;
  /** From where it is measured: to notice a hang takes time, to fill a heap is no recovery. */
  readonly since: "strike" | "exit";
  /** Restarts of all actors, exactly. */
  readonly restarts: number;
  /** Part of the reason for which a thread must have ended; null when none may end. */
  readonly exit: string | null;
  /** The reason of the only dead letters there may be; null for none. */
  readonly letters: string | null;
}

const ACTOR_MS = 250;
const THREAD_MS = 2_000;
/** The thread of the network loads TensorFlow.js and a checkpoint. */
const DEVICE_MS = 6_000;
/** The watchdog needs two looks to be sure. */
const HANG_MS = STUCK_MS + GRACE_MS + THREAD_MS;

const actor = (name: string, about: string, fault: string, restarts = 1): ActorCase => {
  const inject = [fault];
  const judged = { recoveryMs: ACTOR_MS, since: "strike", restarts } as const;
  return { name, about, inject, ...judged, exit: null, letters: null };
};

const thread = (
  name: string,
  about: string,
  fault: string,
  exit: string,
  restarts: number,
): ActorCase => {
  const inject = [fault];
  const judged = { recoveryMs: THREAD_MS, since: "exit", restarts } as const;
  return { name, about, inject, ...judged, exit, letters: null };
};

/** The failures that the main job survives with the same result, bit for bit. */
export const ACTOR_CASES: readonly ActorCase[] = [
  actor("throw", "a handler throws", "crash:tamiyo.decide@n=20"),
  // Grower and trainer share their tensors, so they share their restarts.
  actor("rejection", "a handler's promise rejects", "reject:kasmina.advance@n=300", 2),
  actor("overflow", "the stack overflows", "overflow:tamiyo.decide@n=30"),
  thread(
    "unhandled",
    "a rejection that nobody handles",
    "unhandled:wal.append@n=2",
    "(unhandled)",
    3,
  ),
  thread("exit", "process.exit in a worker", "exit:ledger.claim=3@n=1", "exit code 3", 3),
  thread("heap", "the heap limit is reached", "oom:nissa.record@n=3", "memory limit", 3),
  {
    ...thread("kill", "the network's thread dies", "kill:tolaria.work@n=20", "(kill)", 2),
    recoveryMs: DEVICE_MS,
  },
  {
    ...thread("loop", "an infinite loop", "wedge:tamiyo.decide@n=25", "stuck", 2),
    ...{ recoveryMs: HANG_MS, since: "strike" },
  },
  {
    ...actor("poison", "a message kills its actor every time", "poison:weatherlight.progress@n=5"),
    ...{ restarts: 2, letters: "quarantined" },
  },
  {
    ...actor("flood", "20,000 messages into a mailbox of 4,096", ""),
    inject: ["slow:weatherlight.progress=500ms@n=3", "duplicate:weatherlight.progress=20000@n=3"],
    ...{ restarts: 0, letters: "mailbox-full" },
  },
];
