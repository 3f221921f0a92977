/**
 * Operations that take longer than a microsecond, timed by benny: every round is a suite of all
 * sides, in another order each time. A histogram keeps the time of every single operation.
 */
import { add, configure, suite } from "benny";
import { z } from "zod";
import { Latencies, Percentiles } from "./histogram.ts";

export interface Repeated {
  readonly name: string;
  /** How many calls one operation makes. */
  readonly calls: number;
  operation(): Promise<void>;
}

/** What a side process prints: calls a second by round, and microseconds of one operation. */
export const Repetitions = z.array(
  z.object({ name: z.string(), rounds: z.array(z.number()), percentiles: Percentiles }),
);
export type Repetitions = z.infer<typeof Repetitions>;

const microseconds = (): number => Number(process.hrtime.bigint()) / 1_000;

/** Measures all sides for `seconds` each, `rounds` times. */
export async function bennyRounds(
  title: string,
  sides: readonly Repeated[],
  rounds: number,
  seconds: number,
): Promise<Repetitions> {
  const rates = sides.map((): number[] => []);
  const latencies = sides.map(() => new Latencies());
  const cases = sides.map(({ name, operation }, index) =>
    add(name, async () => {
      const startedAt = microseconds();
      await operation();
      latencies[index]?.record(microseconds() - startedAt);
    }),
  );
  for (let round = 0; round < rounds; round++) {
    const turned = [...cases.slice(round % cases.length), ...cases.slice(0, round % cases.length)];
    const options = { delay: 0.005, minTime: seconds / 2, maxTime: seconds };
    const { results } = await suite(title, ...turned, configure({ cases: options }));
    sides.forEach(({ name, calls }, index) => {
      const mean = results.find((result) => result.name === name)?.details.mean;
      if (mean !== undefined) rates[index]?.push(calls / mean);
    });
  }
  return sides.map(({ name }, index) => ({
    name,
    rounds: rates[index] ?? [],
    percentiles: latencies[index]?.percentiles() ?? new Latencies().percentiles(),
  }));
}
