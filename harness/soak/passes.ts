/**
 * Passes of a soak as benny suites. A pass runs every case a fixed number of times, one after the
 * other; the times of all passes of a case become one histogram.
 */
import { add, configure, suite } from "benny";
import { Latencies, type Percentiles } from "../bench/runtime/histogram.ts";

export interface SoakCase {
  readonly name: string;
  run(): Promise<void>;
}

/** How often benny calls a case only to see what it returns, without waiting for it. */
const PROBES = 2;
const MICROSECONDS = 1e6;

export class Passes {
  readonly #title: string;
  readonly #cases: readonly SoakCase[];
  readonly #took: ReadonlyMap<string, Latencies>;

  constructor(title: string, cases: readonly SoakCase[]) {
    this.#title = title;
    this.#cases = cases;
    this.#took = new Map(cases.map(({ name }) => [name, new Latencies()]));
  }

  /** Runs every case `times` times. */
  async pass(times: number): Promise<void> {
    const cases = this.#cases.map(({ name, run }) => {
      let calls = 0;
      return add(name, () => (calls++ < PROBES ? Promise.resolve() : run()));
    });
    // Times so short that benny never repeats a case for more samples than it was asked for.
    const once = { delay: 0.001, initCount: 1, minTime: 0.001, maxTime: 0.001 };
    const options = configure({ cases: { ...once, minSamples: times } });
    const { results } = await suite(this.#title, ...cases, options);
    for (const { name, details } of results) {
      for (const seconds of details.sampleResults) {
        this.#took.get(name)?.record(seconds * MICROSECONDS);
      }
    }
  }

  /** Microseconds of one run, by case. */
  percentiles(): Readonly<Record<string, Percentiles>> {
    return Object.fromEntries(
      [...this.#took].map(([name, latencies]) => [name, latencies.percentiles()]),
    );
  }
}
