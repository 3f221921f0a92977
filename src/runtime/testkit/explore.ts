/**
 * Runs a scenario under many seeds. Of the seeds that break it, the one with the shortest run is
 * told, with as little disorder as still breaks it and one command that repeats exactly that.
 */
import { EsperError, textOf } from "../../protocols/errors.ts";
import type { SupervisorSpec } from "../topology.ts";
import { TestKit, type TestKitOptions } from "./test-kit.ts";

/** Starts the scenario's topology under the seed of the run. */
export type StartKit = (
  tree: SupervisorSpec,
  options?: Omit<TestKitOptions, "seed" | "chaos">,
) => Promise<TestKit>;

/** What is to hold in every interleaving; it throws where it does not. */
export interface Scenario {
  readonly name: string;
  /** Drives one run with the kit it starts, which is stopped afterwards. */
  run(start: StartKit, seed: number): Promise<void>;
}

/** Which seeds a scenario is run under. */
export interface ExploreOptions {
  /** How many, from 1 up, or which ones. */
  readonly seeds: number | readonly number[];
  /** See `TestKitOptions`. */
  readonly chaos?: number | undefined;
  /** The command that `--seed` and `--chaos` are put behind. Default: names the two options. */
  readonly replay?: string | undefined;
}

/** One run of a scenario. */
export interface SimulatedRun {
  readonly seed: number;
  readonly chaos: number | undefined;
  readonly steps: number;
  /** Equal for runs that did the same. */
  readonly digest: string;
  /** Its last steps, for people. */
  trace(): string;
  /** Null when the scenario held. */
  readonly failure: unknown;
}

/** How much was explored. */
export interface Exploration {
  readonly runs: number;
  readonly steps: number;
}

/** So many failing seeds are compared; the shortest run is the easiest to read. */
const MOST_FAILURES = 3;
const TRACE_LINES = 80;

/** One run under one seed; it never throws what the scenario throws. */
export async function simulate(
  scenario: Scenario,
  seed: number,
  chaos?: number,
): Promise<SimulatedRun> {
  const kits: TestKit[] = [];
  const start: StartKit = async (tree, options = {}) => {
    const created = TestKit.create({ ...options, seed, chaos });
    kits.push(created.kit);
    await created.start(tree);
    return created.kit;
  };
  let failure: unknown = null;
  try {
    await scenario.run(start, seed);
    for (const kit of kits) await kit.stop();
  } catch (error) {
    failure = error ?? new Error("the scenario threw nothing");
  }
  return {
    ...{ seed, chaos, failure },
    steps: kits.reduce((sum, { trace }) => sum + trace.length, 0),
    digest: kits.map(({ trace }) => trace.digest).join(" "),
    trace: () => kits.map(({ trace }) => trace.render(TRACE_LINES)).join("\n\n"),
  };
}

/** @throws {SIMULATION_FAILED} with the command that repeats the failure, and its trace. */
export async function explore(scenario: Scenario, options: ExploreOptions): Promise<Exploration> {
  const failures: SimulatedRun[] = [];
  let runs = 0;
  let steps = 0;
  for (const seed of seedsOf(options.seeds)) {
    const run = await simulate(scenario, seed, options.chaos);
    runs += 1;
    steps += run.steps;
    if (run.failure !== null) failures.push(run);
    if (failures.length >= MOST_FAILURES) break;
  }
  if (failures.length === 0) return { runs, steps };
  const shortest = failures.reduce((best, run) => (run.steps < best.steps ? run : best));
  throw told(scenario, await calmed(scenario, shortest), options.replay);
}

function seedsOf(seeds: number | readonly number[]): readonly number[] {
  return typeof seeds === "number" ? Array.from({ length: seeds }, (_, at) => at + 1) : seeds;
}

/** The same seed with the shortest disorder found that still breaks the scenario. */
async function calmed(scenario: Scenario, broken: SimulatedRun): Promise<SimulatedRun> {
  let best = broken;
  let low = 0;
  let high = Math.min(broken.steps, broken.chaos ?? broken.steps);
  while (low < high) {
    const middle = (low + high) >> 1;
    const run = await simulate(scenario, broken.seed, middle);
    if (run.failure === null) low = middle + 1;
    else {
      best = run;
      high = middle;
    }
  }
  return best;
}

function told(scenario: Scenario, run: SimulatedRun, replay: string | undefined): EsperError {
  const { seed, chaos, failure, steps } = run;
  const command = replay ?? `repeat ${scenario.name} with`;
  const repeat = `${command} --seed ${seed}${chaos === undefined ? "" : ` --chaos ${chaos}`}`;
  const why = failure instanceof Error ? failure.message : textOf(failure);
  const text = `${scenario.name} broke under seed ${seed}: ${why}\n\n  ${repeat}\n\n${run.trace()}`;
  const details = { scenario: scenario.name, seed, chaos: chaos ?? -1, steps, replay: repeat };
  return new EsperError("SIMULATION_FAILED", text, details, failure);
}
