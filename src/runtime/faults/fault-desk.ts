/**
 * Where faults are asked for: checks each against the actors there are, arms it in every thread,
 * and tells the log, the telemetry and the process of each strike. A fault that could never strike
 * is refused, because a run would look healthier than it is.
 */
import { EsperError } from "../../protocols/errors.ts";
import type { MessageMap, Protocol } from "../../protocols/protocol.ts";
import type { AnyActorDefinition } from "../actor.ts";
import { didYouMean } from "../cli/suggest.ts";
import type { Clock } from "../clock.ts";
import type { SourceMeter } from "../telemetry/meter.ts";
import { endsThread, type Fault } from "./fault.ts";
import type { StrikeReport } from "./fault-points.ts";
import { parseFault } from "./parse-fault.ts";
import { type ArmedFault, faultCounters, Rule } from "./rule.ts";

/** Faults of one system, those that were lifted included. */
const MAX_FAULTS = 256;
/** A heap larger than this is not filled on purpose: the machine would notice. */
const MAX_HEAP_MB = 1_024;

/** What must be known of an actor of the tree. */
export interface FaultTarget {
  readonly name: string;
  readonly protocol: Pick<Protocol<MessageMap>, "name" | "messages">;
  readonly isOnMain: boolean;
  /** Of its thread; null is the platform's own. */
  readonly heapLimitMb: number | null;
}

export interface FaultDeskParts {
  readonly clock: Clock;
  readonly seed: number;
  readonly targets: readonly FaultTarget[];
  /** False: nobody asked for faults, so none is allowed. */
  readonly allowed: boolean;
  /** True when threads are only pretended, so that no fault can do harm to the process. */
  readonly inline: boolean;
  /** Arms faults in every thread that runs. */
  arm(faults: readonly ArmedFault[]): void;
  /** Ends a thread. */
  end(thread: string, cause: string): void;
  /** A fault has struck. */
  struck(strike: Strike): void;
}

interface PlacedDefinition {
  readonly name: string;
  readonly thread: string;
  readonly definition: Pick<AnyActorDefinition, "protocol">;
}

/** One strike, as it is told to people. */
export interface Strike {
  /** As it was written. */
  readonly fault: string;
  readonly actor: string;
  readonly thread: string;
  readonly message: string;
  /** Strikes of this fault so far. */
  readonly strikes: number;
}

/** A fault that was injected. */
export interface InjectedFault {
  readonly fault: Fault;
  /** How often it has struck, in all threads. */
  readonly strikes: number;
  /** It strikes no more. */
  lift(): void;
}

export class FaultDesk {
  readonly #parts: FaultDeskParts;
  readonly #armed: ArmedFault[] = [];
  readonly #injected: InjectedFault[] = [];

  constructor(parts: FaultDeskParts) {
    this.#parts = parts;
  }

  get injected(): readonly InjectedFault[] {
    return this.#injected;
  }

  /** Live: what is armed later is in it too. */
  get armed(): readonly ArmedFault[] {
    return this.#armed;
  }

  /** @throws {CONFIG_INVALID} */
  inject(text: string): InjectedFault {
    if (!this.#parts.allowed) {
      const why =
        "faults can be injected only into a system that was started with the option faults";
      throw new EsperError("CONFIG_INVALID", why, { path: "faults", value: text });
    }
    const fault = parseFault(text);
    checkFault(fault, this.#parts.targets, this.#parts.inline);
    if (this.#armed.length >= MAX_FAULTS) {
      throw refuse(text, "the number of faults", this.#armed.length + 1, `at most ${MAX_FAULTS}`);
    }
    const { clock, seed } = this.#parts;
    const armed: ArmedFault = {
      ...{ id: this.#armed.length, fault, fromMs: clock.monotonicMs() },
      ...{ seed: fault.seed ?? seed, counters: faultCounters() },
    };
    const rule = new Rule(armed);
    this.#armed.push(armed);
    const injected: InjectedFault = {
      fault,
      get strikes() {
        return rule.strikes;
      },
      lift: () => rule.lift(),
    };
    this.#injected.push(injected);
    this.#parts.arm([armed]);
    return injected;
  }

  onReport(thread: string, { id, actor, message, strikes, end }: StrikeReport): void {
    const fault = this.#armed[id]?.fault.text;
    if (fault === undefined) return;
    this.#parts.struck({ fault, actor, thread, message, strikes });
    if (end !== null) this.#parts.end(thread, end);
  }

  /** Strikes by kind and actor as written, those in threads that have died included. */
  measure(meter: SourceMeter): void {
    const totals = new Map<string, number>();
    for (const { fault, strikes } of this.#injected) {
      const { kind, actor } = fault;
      const total = (totals.get(`${kind}:${actor}`) ?? 0) + strikes;
      totals.set(`${kind}:${actor}`, total);
      if (total > 0) meter.total("runtime.faults_injected_total", total, { kind, actor });
    }
  }
}

/** The actors of a tree, as faults may name them. */
export function faultTargets(
  actors: readonly PlacedDefinition[],
  policies: ReadonlyMap<string, { readonly heapLimitMb: number | null }>,
): FaultTarget[] {
  return actors.map(({ name, definition, thread }) => {
    const policy = policies.get(thread);
    const heapLimitMb = policy?.heapLimitMb ?? null;
    // Only the main thread has no policy.
    return { name, protocol: definition.protocol, isOnMain: policy === undefined, heapLimitMb };
  });
}

/**
 * Whether a fault can strike at all, and harms nothing but what it is meant to.
 * @throws {CONFIG_INVALID}
 */
export function checkFault(fault: Fault, targets: readonly FaultTarget[], inline: boolean): void {
  const meant = fault.actor === "*" ? targets : targets.filter(({ name }) => name === fault.actor);
  const spawned = fault.actor.startsWith("#");
  if (meant.length === 0 && !spawned) {
    const names = targets.map(({ name }) => name);
    const hint = didYouMean(fault.actor, names);
    throw refuse(fault.text, "the actor", fault.actor, `${names.join(", ")}, * or #protocol`, hint);
  }
  if (!spawned) checkMessage(fault, meant);
  if (fault.kind === "oom" && !inline) checkHeap(fault, meant, spawned);
  if (endsThread(fault) && meant.length > 0 && meant.every(({ isOnMain }) => isOnMain)) {
    const allowed = "an actor of another thread: the process lives in its main thread";
    throw refuse(fault.text, `the actor of ${fault.kind}`, fault.actor, allowed);
  }
}

function checkMessage(fault: Fault, targets: readonly FaultTarget[]): void {
  const { kind, message, text } = fault;
  const castOnly = kind === "duplicate" || kind === "delay";
  const names = targets.flatMap(({ protocol }) =>
    Object.entries(protocol.messages).flatMap(([name, spec]) =>
      castOnly && spec.kind === "call" ? [] : [name],
    ),
  );
  if (message === null ? names.length > 0 : names.includes(message)) return;
  const what = castOnly ? "casts" : "messages";
  const allowed = names.length === 0 ? `an actor that has ${what}` : names.join(", ");
  throw refuse(text, `the message of ${kind}`, message ?? "any", allowed);
}

function checkHeap(fault: Fault, targets: readonly FaultTarget[], spawned: boolean): void {
  const isBounded = ({ heapLimitMb }: FaultTarget): boolean =>
    heapLimitMb !== null && heapLimitMb <= MAX_HEAP_MB;
  const inThreads = targets.filter(({ isOnMain }) => !isOnMain);
  if (!spawned && inThreads.every(isBounded)) return;
  const allowed = `an actor by name, on a thread whose heapLimitMb is at most ${MAX_HEAP_MB}`;
  throw refuse(fault.text, "the actor of oom", fault.actor, allowed);
}

function refuse(
  text: string,
  path: string,
  value: unknown,
  allowed: string,
  hint = "",
): EsperError {
  const given = `the fault ${JSON.stringify(text)}: ${path} is ${String(value)}`;
  const message = `${given}; allowed: ${allowed}${hint}`;
  return new EsperError("CONFIG_INVALID", message, { path, value: String(value), allowed });
}
