/**
 * A topology on one thread, under a virtual clock, its steps chosen by a seed: the rings, codecs,
 * mailboxes and supervision are the real ones, and one seed is one exact run, whatever the machine
 * does. Nothing happens between two awaits on the kit; what actors wait for must come from the
 * kit's clock or from each other, never from real timers or files.
 */
import { type ErrorCode, EsperError } from "../../protocols/errors.ts";
import type { MessageMap, Protocol } from "../../protocols/protocol.ts";
import type { ActorRef } from "../actor.ts";
import { createRandom, type Random } from "../random.ts";
import { ActorSystem, type SystemOptions } from "../thread/system.ts";
import type { ActorStatus, LogRecord, SystemEvent } from "../thread/types.ts";
import { ownTable } from "../token-table.ts";
import type { SupervisorSpec } from "../topology.ts";
import { type StepMatch, Stepper } from "./stepper.ts";
import type { Trace } from "./trace.ts";
import { VirtualClock } from "./virtual-clock.ts";

const DEFAULT_LIMIT_MS = 120_000;
const DEFAULT_STEPS = 200_000;
const STOP_GRACE_MS = 60_000;
/** Turns of the event loop that are asked for at once. */
const BATCH = 16;

type PassedOn = "run" | "telemetry" | "encodeLocal" | "setupLimitMs" | "threadOptions";

/** How a simulated run is made. */
export interface TestKitOptions extends Partial<Pick<SystemOptions, PassedOn>> {
  /** Decides the interleaving, and every random stream of the runtime. */
  readonly seed: number;
  /** After so many steps the oldest one always comes first. Default: never. */
  readonly chaos?: number | undefined;
  /** Capacity of every ring: small ones are full often. Default 4,096. */
  readonly ringBytes?: number | undefined;
  /** More steps than this are a run that will not end. Default 200,000. */
  readonly maxSteps?: number | undefined;
}

/** See the head of this file. */
export class TestKit {
  readonly clock = new VirtualClock();
  /** For the choices of the test itself; the interleaving has a stream of its own. */
  readonly random: Random;
  readonly events: SystemEvent[] = [];
  readonly logs: LogRecord[] = [];
  readonly #stepper: Stepper;
  readonly #maxSteps: number;
  readonly #tokensBefore = ownTable().used;
  readonly #checks: (() => void)[] = [];
  #system: ActorSystem | null = null;
  #stopped = false;

  private constructor({ seed, chaos, ringBytes, maxSteps }: TestKitOptions) {
    this.random = createRandom(seed, "test");
    this.#maxSteps = maxSteps ?? DEFAULT_STEPS;
    this.#stepper = new Stepper({
      clock: this.clock,
      seed,
      chaos: chaos ?? Number.POSITIVE_INFINITY,
      ringBytes: ringBytes ?? 4_096,
    });
  }

  /**
   * Starts the tree; its start is interleaved like everything else.
   * @throws {CONFIG_INVALID} @throws {SIMULATION_FAILED} and what a failed setup threw.
   */
  static async start(tree: SupervisorSpec, options: TestKitOptions): Promise<TestKit> {
    const kit = new TestKit(options);
    await kit.#start(tree, options);
    return kit;
  }

  /** @internal For the explorer, which shows the trace of a start that failed. */
  static create(options: TestKitOptions): {
    readonly kit: TestKit;
    start(tree: SupervisorSpec): Promise<void>;
  } {
    const kit = new TestKit(options);
    return { kit, start: (tree) => kit.#start(tree, options) };
  }

  get system(): ActorSystem {
    if (this.#system !== null) return this.#system;
    throw new EsperError("ACTOR_STOPPED", "the simulated system has not started");
  }

  get trace(): Trace {
    return this.#stepper.trace;
  }

  /** Slots of shared cancellation tokens that this run has taken and not given back. */
  get tokensInUse(): number {
    return ownTable().used - this.#tokensBefore;
  }

  /** A reference for the test itself. */
  ref<M extends MessageMap>(protocol: Protocol<M>, name: string = protocol.name): ActorRef<M> {
    return this.system.ref(protocol, name);
  }

  /** The actor as the system sees it. @throws {ACTOR_UNKNOWN} */
  status(actor: string): ActorStatus {
    const status = this.system.status().find(({ name }) => name === actor);
    if (status !== undefined) return status;
    throw new EsperError("ACTOR_UNKNOWN", `there is no actor ${actor}`, { actor });
  }

  /**
   * Runs until `promise` has settled, and settles like it.
   * @throws {SIMULATION_FAILED} when it has not after `limitMs` of virtual time (120,000), or
   * nothing is left that could happen.
   */
  async settle<T>(promise: Promise<T>, limitMs = DEFAULT_LIMIT_MS): Promise<T> {
    let settled = false;
    const note = (): void => {
      settled = true;
    };
    promise.then(note, note);
    await this.#drive(() => settled, limitMs, "a promise did not settle");
    return promise;
  }

  /** Runs until `condition` holds. @throws {SIMULATION_FAILED} as `settle` does. */
  run(condition: () => boolean, limitMs = DEFAULT_LIMIT_MS): Promise<void> {
    return this.#drive(condition, limitMs, `it did not come to ${condition}`);
  }

  /** Lets exactly `ms` of virtual time pass, with all that happens meanwhile. */
  async advance(ms: number): Promise<void> {
    const endMs = this.clock.monotonicMs() + ms;
    await this.#drive(null, ms, "");
    this.clock.passTo(endMs);
  }

  /** Ends the thread of an actor, as a failure of the platform would. @throws {ACTOR_UNKNOWN} */
  kill(actor: string): void {
    this.#stepper.act(`kill the thread of ${actor}`, () => this.system.kill(actor));
  }

  /** Makes an actor fail at its next message. @throws {ACTOR_UNKNOWN} */
  crash(actor: string): void {
    this.#stepper.act(`crash ${actor}`, () => this.system.crash(actor));
  }

  /**
   * Does `action` between two of the next `within` steps, chosen by the seed, or when the work has
   * run out before.
   */
  sometime(what: string, action: () => void, within = 200): void {
    this.#stepper.plan(this.random.integer(within), what, action);
  }

  /** Runs `check` after every step from now on; what it throws fails the run. */
  always(check: () => void): void {
    this.#checks.push(check);
  }

  /** Matching steps wait until what is returned is called: a thread that hangs, a late bell. */
  hold(matches: StepMatch): () => void {
    return this.#stepper.hold(matches);
  }

  /** The next `count` doorbells that match are never heard. */
  dropBells(matches: StepMatch, count = 1): void {
    this.#stepper.drop(matches, count);
  }

  /**
   * For doubles of shared memory, which call it before and after an access: there, in the middle of
   * a step, another thread may do one of its own. It does nothing outside a step of a thread.
   */
  interrupt(): void {
    this.#stepper.interrupt();
  }

  /** Stops the system, all within 60 s of virtual time. Idempotent. */
  async stop(): Promise<void> {
    if (this.#stopped || this.#system === null) return;
    this.#stopped = true;
    await this.settle(this.#system.stop({ graceMs: STOP_GRACE_MS }));
  }

  async #start(tree: SupervisorSpec, options: TestKitOptions): Promise<void> {
    const { seed, chaos: _, ringBytes: __, maxSteps: ___, ...passedOn } = options;
    const starting = ActorSystem.start({
      ...passedOn,
      ...{ tree, seed, clock: this.clock, threads: "inline", schedule: this.#stepper },
      log: (record) => this.logs.push(record),
      onEvent: (event) => this.events.push(event),
    });
    this.#system = await this.settle(starting);
  }

  /**
   * Takes steps until `isOver`, each in a turn of the event loop of its own, so that the
   * continuations of one are done before the next. Null for `isOver`: until the time is up.
   */
  #drive(isOver: (() => boolean) | null, limitMs: number, what: string): Promise<void> {
    const horizonMs = this.clock.monotonicMs() + limitMs;
    return new Promise((resolve, reject) => {
      let ended = false;
      const end = (settle: () => void): void => {
        ended = true;
        settle();
      };
      const tick = (): void => {
        if (ended) return;
        try {
          if (isOver?.()) end(resolve);
          else if (!this.#step(horizonMs)) end(() => this.#atRest(isOver, limitMs, what, resolve));
        } catch (error) {
          end(() => reject(error));
        }
      };
      const batch = (): void => {
        if (ended) return;
        for (let turn = 1; turn < BATCH; turn++) setImmediate(tick);
        setImmediate(() => {
          tick();
          batch();
        });
      };
      batch();
    });
  }

  #step(horizonMs: number): boolean {
    if (this.trace.length >= this.#maxSteps) {
      throw failed(`the run has not ended after ${this.#maxSteps} steps`, this.trace.length);
    }
    if (!this.#stepper.step(horizonMs)) return false;
    for (const check of this.#checks) check();
    return true;
  }

  /** Nothing more happens by the horizon. */
  #atRest(
    isOver: (() => boolean) | null,
    limitMs: number,
    what: string,
    resolve: () => void,
  ): void {
    if (isOver === null || isOver()) {
      resolve();
      return;
    }
    const why = this.clock.waiting === 0 ? "nothing is left to happen" : `${limitMs} ms passed`;
    throw failed(`${what}: ${why}`, this.trace.length);
  }
}

const CODE: ErrorCode = "SIMULATION_FAILED";

function failed(text: string, steps: number): EsperError {
  return new EsperError(CODE, text, { steps });
}
