/** What became of the jobs of one side, and which promises that keeps. */
import { Latencies, type Percentiles } from "../bench/runtime/histogram.ts";
import type { Verdict } from "../lib/verdict.ts";
import type { Side } from "./cancellation-sides.ts";
import type { Life } from "./life.ts";

const MICROSECONDS = 1_000;

/** The code of a job that answered. */
const VALUE = "value";

export class CancellationTally {
  readonly #side: Side;
  readonly #codes: Record<string, number> = {};
  readonly #notice = new Latencies();
  readonly #settle = new Latencies();
  readonly #stubborn = new Latencies();
  #lives = 0;
  #late = 0;
  #notOnce = 0;
  #begunInVain = 0;
  #worstAfter = 0;
  #stubbornCount = 0;

  constructor(side: Side) {
    this.#side = side;
  }

  /** To be called when nothing of the round runs any more. */
  add(lives: readonly Life[]): void {
    for (const life of lives) {
      this.#lives += 1;
      this.#codes[life.code] = (this.#codes[life.code] ?? 0) + 1;
      if (life.ends !== 1) this.#notOnce += 1;
      if (life.late) this.#late += 1;
      this.#judgeEffects(life);
      this.#time(life);
    }
  }

  figures(): Readonly<Record<string, unknown>> {
    return {
      jobs: this.#lives,
      ends: this.#codes,
      stubborn: this.#stubbornCount,
      noticed_us: figuresOf(this.#notice.percentiles()),
      settled_us: figuresOf(this.#settle.percentiles()),
      stubborn_settled_us: figuresOf(this.#stubborn.percentiles()),
      ...this.#side.figures(),
    };
  }

  verdicts(): Verdict[] {
    const { name, codes, stepsAfter } = this.#side;
    const odd = Object.keys(this.#codes).filter((code) => code !== VALUE && !codes.includes(code));
    const imbalances = this.#side.imbalances();
    const { p99 } = this.#notice.percentiles();
    const verdict = (promise: string, measured: string, kept: boolean): Verdict => ({
      promise: `${name}: ${promise}`,
      ...{ measured, kept },
    });
    return [
      verdict("every job ends once, as promised", ends(this.#codes), this.#ended(odd)),
      verdict("the books always balance", `${imbalances} imbalances`, imbalances === 0),
      verdict("every job settles in time", `${this.#late} late`, this.#late === 0),
      verdict(
        "a cancelled job has no later effect",
        `${this.#begunInVain} begun in vain, at most ${this.#worstAfter} steps after the end ` +
          `(allowed ${stepsAfter})`,
        this.#begunInVain === 0 && this.#worstAfter <= stepsAfter,
      ),
      verdict(
        "a polling job notices (informs)",
        `p99 ${p99.toFixed(0)} us of ${this.#notice.percentiles().count}`,
        true,
      ),
    ];
  }

  #ended(odd: readonly string[]): boolean {
    return this.#notOnce === 0 && odd.length === 0;
  }

  #judgeEffects(life: Life): void {
    const { order, moment, code } = life;
    if (code === VALUE) return;
    const written = this.#side.board.written(order.place);
    if (moment === "before" && written > 0) this.#begunInVain += 1;
    // Who ignores its token and is ended by force has effects until that moment, unless the
    // caller is told only then.
    if (order.stubborn && this.#side.stepsAfter > 0) return;
    if (code === "CANCELLED") {
      this.#worstAfter = Math.max(this.#worstAfter, written - life.written);
    }
  }

  #time(life: Life): void {
    const { order, cancelledAtMs, settledAtMs } = life;
    if (order.stubborn) this.#stubbornCount += 1;
    if (cancelledAtMs === null || life.code !== "CANCELLED") return;
    const settleUs = (settledAtMs - cancelledAtMs) * MICROSECONDS;
    if (order.stubborn) this.#stubborn.record(settleUs);
    else this.#settle.record(settleUs);
    const noticedAtMs = this.#side.board.noticedAtMs(order.place);
    // A job that began after its cancellation noticed at once, which says nothing.
    if (noticedAtMs === null || this.#side.board.written(order.place) === 0) return;
    this.#notice.record((noticedAtMs - cancelledAtMs) * MICROSECONDS);
  }
}

const ends = (codes: Readonly<Record<string, number>>): string =>
  Object.entries(codes)
    .map(([code, count]) => `${count} ${code}`)
    .join(", ");

/** Only what was measured: an empty histogram has no percentiles. */
function figuresOf(percentiles: Percentiles): Percentiles | null {
  return percentiles.count === 0 ? null : percentiles;
}
