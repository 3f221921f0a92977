/**
 * What can be made to go wrong on purpose, and when. Plain data: a fault written as text means the
 * same in a test, in a drill and on the command line.
 */

/** What a fault may be given behind `=`: nothing, a time, an exit code, a number of copies. */
export type FaultValue = "none" | "time" | "code" | "copies";

interface Row {
  /** "handling" strikes before the handler of the receiver, "sending" before the mailbox. */
  readonly point: "handling" | "sending";
  readonly value: FaultValue;
  /** True when the value cannot be left out. */
  readonly needsValue: boolean;
  /** Strikes once unless something else is said. */
  readonly once: boolean;
  readonly about: string;
}

const handling = (about: string, value: FaultValue = "none"): Row => {
  return { point: "handling", value, needsValue: false, once: true, about };
};

/** Every kind of fault. */
export const FAULTS = {
  kill: handling("ends the thread from outside"),
  crash: handling("the handler throws"),
  reject: handling("the handler's promise rejects"),
  overflow: handling("the handler calls itself without end"),
  poison: handling("the message crashes its actor at every try"),
  unhandled: handling("a rejection that nobody handles"),
  exit: handling("the handler calls process.exit", "code"),
  oom: handling("the handler fills the thread's heap"),
  wedge: handling("the handler loops, for ever or for a time, and polls nothing", "time"),
  slow: { ...handling("the handler begins late", "time"), needsValue: true, once: false },
  drop: {
    ...{ point: "sending", value: "none", needsValue: false, once: false },
    about: "the message is lost; the sender believes that it was sent",
  },
  duplicate: {
    ...{ point: "sending", value: "copies", needsValue: false, once: false },
    about: "the cast arrives again, as often as is said",
  },
  delay: {
    ...{ point: "sending", value: "time", needsValue: true, once: false },
    about: "the cast is sent late, others may overtake it",
  },
} as const satisfies Readonly<Record<string, Row>>;

/** One kind of fault. */
export type FaultKind = keyof typeof FAULTS;

/** When a fault strikes; messages are counted by it from 1, over all threads and restarts. */
export interface FaultTiming {
  /** At this message only. */
  readonly nth: number | null;
  readonly every: number | null;
  /** Of each message that the others let through. */
  readonly probability: number | null;
  /** Of the draws; null is the run's own. */
  readonly seed: number | null;
  /** The most strikes; null is without bound. */
  readonly times: number | null;
  /** Counted from the injection; messages before it or from `untilMs` on are not counted. */
  readonly afterMs: number;
  readonly untilMs: number | null;
}

export interface Fault extends FaultTiming {
  readonly kind: FaultKind;
  /** An actor's name, `#protocol` for all spawned actors of a protocol, or `*` for all. */
  readonly actor: string;
  /** Null for any. */
  readonly message: string | null;
  /** Milliseconds, an exit code or a number of copies. */
  readonly value: number | null;
  /** As it was written. */
  readonly text: string;
}

/** True when the thread ends with it, so that there must be one that can be spared. */
export function endsThread({ kind, value }: Pick<Fault, "kind" | "value">): boolean {
  if (kind === "wedge") return value === null;
  return kind === "kill" || kind === "unhandled" || kind === "exit" || kind === "oom";
}
