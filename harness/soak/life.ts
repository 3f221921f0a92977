/**
 * The life of one cancelled job: submitted, cancelled at some moment of its life or never, settled
 * once. Whether it settled in time is judged by plain timers that were armed with it, so a machine
 * that stands still for a while delays the judge as well as the judged.
 */
import { CancellationToken, EsperError, type Random, systemClock } from "esper-runtime";
import type { Board } from "./board.ts";
import type { StepOrder } from "./stepping.ts";

/** How a job is told to stop. */
export const MOMENTS = ["never", "before", "at", "later", "twice"] as const;
export type Moment = (typeof MOMENTS)[number];

export interface Life {
  readonly order: StepOrder;
  readonly moment: Moment;
  /** It ends when it is told to, not before. */
  readonly endless: boolean;
  readonly deadlineMs: number;
  cancelledAtMs: number | null;
  settledAtMs: number;
  /** How often it settled. */
  ends: number;
  /** "value", or the code of the error. */
  code: string;
  /** What it had written when it settled. */
  written: number;
  /** A timer for its deadline, or for what a cancelled job may take, came first. */
  late: boolean;
}

export interface Conditions {
  readonly board: Board;
  readonly random: Random;
  /** Milliseconds a cancelled job gets to heed its token before it is ended. */
  readonly graceMs: number;
  /** What the end of a job may take beyond that. */
  readonly settleMs: number;
  readonly stubborn: (place: number) => boolean;
  submit(
    name: "step" | "wait",
    order: StepOrder,
    options: { readonly deadlineMs: number; readonly token: CancellationToken },
  ): Promise<unknown>;
  /** Called at every change: the place to look at the books. */
  changed(): void;
}

const NO_DEADLINE_MS = 60_000;
const DEADLINE_SHARE = 0.1;
const SHORTEST_DEADLINE_MS = 12;
const DEADLINE_SLACK_MS = 50;
/** Jobs that are cancelled later are cancelled within this time, wherever they are then. */
const LATER_MS = 40;
const LONGEST_JOB_MS = 2;
/** Jobs that work until they are told to stop. */
const ENDLESS_SHARE = 0.05;
const ENDLESS_LATER_MS = 4;
const STEPPING_SHARE = 0.7;

function momentOf(random: Random): Moment {
  const draw = random.next();
  if (draw < 0.1) return "before";
  if (draw < 0.2) return "at";
  if (draw < 0.3) return "twice";
  return draw < 0.6 ? "later" : "never";
}

function newLife({ random, stubborn: isStubborn }: Conditions, place: number): Life {
  const stubborn = isStubborn(place);
  const endless = stubborn || random.next() < ENDLESS_SHARE;
  const moment = endless ? "later" : momentOf(random);
  return {
    ...{ moment, endless },
    order: { place, stubborn, limitMs: endless ? NO_DEADLINE_MS : random.next() * LONGEST_JOB_MS },
    deadlineMs:
      !endless && random.next() < DEADLINE_SHARE
        ? random.integer(SHORTEST_DEADLINE_MS)
        : NO_DEADLINE_MS,
    ...{ cancelledAtMs: null, settledAtMs: 0, ends: 0, code: "", written: 0, late: false },
  };
}

const pause = (delayMs: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, delayMs));

/** Timers that fire when the job should have settled, unless it has. */
class Judge {
  readonly #life: Life;
  readonly #timers: NodeJS.Timeout[] = [];

  constructor(life: Life) {
    this.#life = life;
  }

  /** The slack begins when a timer for the due moment has fired, as the runtime's own has. */
  arm(dueMs: number, slackMs: number): void {
    const judge = (): void => {
      this.#life.late = true;
    };
    const due = (): void => void this.#timers.push(setTimeout(judge, slackMs));
    this.#timers.push(setTimeout(due, dueMs));
  }

  dismiss(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }
}

/** An endless job is cancelled when it has begun; before, it would be like any other. */
async function begun(life: Life, board: Board): Promise<void> {
  while (life.ends === 0 && board.written(life.order.place) === 0) await pause(1);
}

/** Lives one life to its end; rejects only when the soak itself is wrong. */
export async function live(conditions: Conditions, place: number): Promise<Life> {
  const { board, random, graceMs, settleMs, submit, changed } = conditions;
  const life = newLife(conditions, place);
  const { order, moment, endless, deadlineMs } = life;
  const name = random.next() < STEPPING_SHARE || endless ? "step" : "wait";
  const laterMs = random.integer(endless ? ENDLESS_LATER_MS : LATER_MS);
  using token = new CancellationToken();
  const judge = new Judge(life);
  const cancel = (): void => {
    if (life.ends === 0 && life.cancelledAtMs === null) {
      life.cancelledAtMs = systemClock.monotonicMs();
      judge.arm(graceMs, settleMs);
    }
    token.cancel();
  };
  const settle = (code: string): void => {
    life.ends += 1;
    life.code = code;
    life.settledAtMs = systemClock.monotonicMs();
    life.written = board.written(place);
    judge.dismiss();
    changed();
  };
  if (moment === "before") cancel();
  judge.arm(deadlineMs, DEADLINE_SLACK_MS);
  const settled = submit(name, order, { deadlineMs, token }).then(
    () => settle("value"),
    (error: unknown) => settle(EsperError.is(error) ? error.code : String(error)),
  );
  changed();
  if (moment === "at") cancel();
  if (moment === "later" || moment === "twice") {
    if (endless) await begun(life, board);
    await pause(laterMs);
    cancel();
  }
  if (moment === "twice") cancel();
  await settled;
  // After the reply a token changes nothing any more.
  token.cancel();
  return life;
}
