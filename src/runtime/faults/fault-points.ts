/**
 * The two places of a thread where faults strike: before a message is handled, and before one is
 * sent. A thread without faults has no such object, so they cost it one comparison a message.
 */
import type { Clock } from "../clock.ts";
import type { Kind } from "../wire/protocol-table.ts";
import { type ArmedFault, Rule, type Subject } from "./rule.ts";
import { asksForEnd, strike } from "./strike.ts";

/** Casts that may be held back in one thread; more are sent at once. */
const MAX_HELD = 65_536;
/** Strikes of one fault that are told one by one; later ones when their number has doubled. */
const TOLD_SINGLY = 16;

/** A strike, as the thread tells it to the system. */
export interface StrikeReport {
  readonly kind: "fault";
  readonly id: number;
  readonly actor: string;
  readonly message: string;
  /** Strikes of this fault so far, in all threads. */
  readonly strikes: number;
  /** When the thread asks to be ended: why. */
  readonly end: string | null;
}

/** What faults must know of an actor in this thread. */
interface Receiver {
  readonly name: string;
  /** Below zero: not of the tree. */
  readonly index: number;
  readonly definition: {
    readonly protocol: { readonly name: string; readonly messages: object };
  };
}

/** What a handler is called with beside the message. */
interface Instance {
  readonly state: unknown;
  readonly context: unknown;
}

/** Where a message goes. */
interface Destination {
  readonly name: string;
  /** 0 is the thread itself. */
  readonly slot: number;
  readonly generation: number;
}

/** Sends a cast whose sender has gone on. */
interface Aside<To, Trace> {
  castAside(to: To, kind: Kind, payload: unknown, from: number, trace: Trace): void;
}

interface FaultPointsParts {
  /** True when threads are only pretended. */
  readonly inline: boolean;
  /** The process lives in its main thread: nothing may end that. */
  readonly isMain: boolean;
  readonly clock: Clock;
  report(report: StrikeReport): void;
}

/** Where a thread looks for its faults; null while there are none. */
interface Place {
  faults: FaultPoints | null;
}

interface ThreadParts {
  readonly seed: { readonly inline: boolean; readonly threadId: number };
  readonly clock: Clock;
  readonly report: (report: StrikeReport) => void;
}

/** Arms `faults` in one thread, on both sides of it. */
export function armFaults(
  receiving: Place,
  sending: Place,
  faults: readonly ArmedFault[],
  { seed, clock, report }: ThreadParts,
): void {
  if (faults.length === 0) return;
  const isMain = seed.threadId === 0;
  receiving.faults ??= new FaultPoints({ inline: seed.inline, isMain, clock, report });
  sending.faults = receiving.faults;
  receiving.faults.arm(faults);
}

export class FaultPoints {
  readonly #parts: FaultPointsParts;
  readonly #known = new Set<number>();
  readonly #handling: Rule[] = [];
  readonly #sending: Rule[] = [];
  /** Messages that are to crash their actor whenever they are tried again. */
  readonly #poisoned = new WeakMap<object, Rule>();
  #held = 0;

  constructor(parts: FaultPointsParts) {
    this.#parts = parts;
  }

  /** Arms faults; those that are armed already stay as they are. */
  arm(faults: readonly ArmedFault[]): void {
    for (const armed of faults) {
      if (this.#known.has(armed.id)) continue;
      this.#known.add(armed.id);
      const rule = new Rule(armed);
      if (rule.isSending) this.#sending.push(rule);
      else if (!this.#parts.isMain || !rule.endsThread) this.#handling.push(rule);
    }
  }

  /** Handles `message`, or does what a fault wants instead; the result is the handler's. */
  handle<M extends { readonly kind: Kind; readonly payload: unknown }>(
    receiver: Receiver,
    message: M,
    { state, context }: Instance,
    handler: (state: unknown, payload: unknown, context: unknown, call: M) => unknown,
  ): unknown {
    const proceed = (): unknown => handler(state, message.payload, context, message);
    const subject = subjectFor(receiver, message.kind);
    const rule = subject === null ? null : this.#ruleFor(message, subject);
    if (rule === null || subject === null) return proceed();
    const { clock, inline } = this.#parts;
    const { kind, value } = rule.fault;
    if (!asksForEnd(inline, kind)) this.#tell(rule, subject);
    const end = (cause: string): void => this.#report(rule, subject, cause);
    const what = `${subject.actor}.${subject.message}`;
    return strike({ inline, clock, kind, value, what, proceed, end });
  }

  /** True when the fault has taken the cast over; `post` sends it later, or once more now. */
  cast<To extends Destination, Trace>(
    post: Aside<To, Trace>,
    to: To,
    kind: Kind,
    payload: unknown,
    from: number,
    trace: Trace,
  ): boolean {
    const send = (): void => post.castAside(to, kind, payload, from, trace);
    const subject = subjectOf(to, kind);
    const rule = this.#choose(this.#sending, subject);
    if (rule === null || subject === null) return false;
    this.#tell(rule, subject);
    const { fault } = rule;
    if (fault.kind === "drop") return true;
    if (fault.kind === "duplicate") {
      for (let copy = 0; copy < (fault.value ?? 1); copy++) send();
      return false;
    }
    if (this.#held >= MAX_HELD) return false;
    this.#held += 1;
    const late = (): void => {
      this.#held -= 1;
      send();
    };
    this.#parts.clock.after(fault.value ?? 0, late, true);
    return true;
  }

  /** True when the call is lost on its way: its deadline will settle it. */
  losesCall(to: Destination, kind: Kind): boolean {
    const subject = subjectOf(to, kind);
    const rule = this.#choose(this.#sending, subject);
    if (rule === null || subject === null) return false;
    this.#tell(rule, subject);
    return true;
  }

  #ruleFor(message: object, subject: Subject): Rule | null {
    const again = this.#poisoned.get(message);
    if (again?.isLifted === false) {
      again.countStrike();
      return again;
    }
    const rule = this.#choose(this.#handling, subject);
    if (rule?.fault.kind === "poison") this.#poisoned.set(message, rule);
    return rule;
  }

  /** The first that strikes; those behind it do not count the message. */
  #choose(rules: readonly Rule[], subject: Subject | null): Rule | null {
    if (subject === null) return null;
    const nowMs = this.#parts.clock.monotonicMs();
    for (const rule of rules) if (rule.matches(subject) && rule.strikesNow(nowMs)) return rule;
    return null;
  }

  #tell(rule: Rule, subject: Subject): void {
    const { strikes } = rule;
    const singly = strikes <= TOLD_SINGLY || Number.isInteger(Math.log2(strikes));
    if (singly || rule.endsThread) this.#report(rule, subject, null);
  }

  #report({ id, strikes }: Rule, { actor, message }: Subject, end: string | null): void {
    this.#parts.report({ kind: "fault", id, actor, message, strikes, end });
  }
}

/** Null for what the runtime has an actor do beside the messages of its protocol. */
function subjectFor({ name, index, definition }: Receiver, kind: Kind): Subject | null {
  const { name: protocol, messages } = definition.protocol;
  if (!Object.hasOwn(messages, kind.name)) return null;
  const { name: message, isCall } = kind;
  return { actor: name, protocol, spawned: index < 0, message, isCall };
}

/** Null for what threads tell each other. */
function subjectOf({ name, slot, generation }: Destination, kind: Kind): Subject | null {
  if (slot === 0) return null;
  const { protocol, name: message, isCall } = kind;
  return { actor: name, protocol, spawned: generation !== 0, message, isCall };
}
