/** The pool's bench as rows: the share of a worker's time that reaches the task. */
import type { RuntimeBench } from "./options.ts";
import { benchPool, type PoolRow } from "./pool.ts";
import { type Figure, plainRow, type Row, ratioRow } from "./row.ts";

/** The grain for which the figures are promised. */
const PROMISED_GRAIN_US = 20;
const AT_LEAST = 2;
const EFFICIENCY_AT_LEAST = 0.8;

const figureOf = (row: PoolRow): Figure => ({
  name: row.contender,
  unit: "share of the worker",
  rounds: [row.efficiency],
});

function rowsOfGrain(rows: readonly PoolRow[]): Row[] {
  const peer = rows.find(({ contender }) => contender.startsWith("piscina"));
  if (peer === undefined) throw new Error("piscina was not measured");
  return rows.flatMap((row) => {
    if (row === peer) return [];
    const promised = row.grain_us === PROMISED_GRAIN_US && row.contender.includes("cooperative");
    const title = `pool, ${row.contender.replace("ours, ", "")}, ${row.grain_us} us tasks`;
    const bound = promised ? { atLeast: AT_LEAST } : null;
    const ratio = ratioRow(`${title} / piscina's default`, figureOf(row), figureOf(peer), bound);
    if (!promised) return [ratio];
    return [ratio, plainRow(title, figureOf(row), { atLeast: EFFICIENCY_AT_LEAST })];
  });
}

export const pool: RuntimeBench = {
  name: "pool",
  about: "efficiency of the pool against the length of its tasks, beside piscina",
  async run(options) {
    options.say("pool");
    const { figures } = await benchPool({
      rounds: options.rounds,
      secondsPerRun: options.quick ? 0.2 : 1,
    });
    const grains = [...new Set(figures.map(({ grain_us }) => grain_us))];
    return grains.flatMap((grain) =>
      rowsOfGrain(figures.filter(({ grain_us }) => grain_us === grain)),
    );
  },
};
