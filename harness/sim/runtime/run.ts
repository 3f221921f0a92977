/** Runs the scenarios of the runtime under seeds, or repeats one run exactly. */
import { type Exploration, explore, type Scenario, simulate } from "esper-runtime/testkit";
import { calls } from "./scenarios/calls.ts";
import { children } from "./scenarios/children.ts";
import { conservation, order, progress } from "./scenarios/delivery.ts";
import { credits, waiting } from "./scenarios/pressure.ts";
import { stopping } from "./scenarios/stopping.ts";
import { strategies } from "./scenarios/supervision.ts";

export const RUNTIME_SCENARIOS: readonly Scenario[] = [
  order,
  conservation,
  progress,
  waiting,
  credits,
  calls,
  strategies,
  children,
  stopping,
];

export interface SimulationRequest {
  readonly seeds: number;
  /** Repeats this one run. */
  readonly seed?: number;
  readonly chaos?: number;
}

/** What to type to see a failure again. */
export function replayCommand({ name }: Scenario): string {
  return `node dist/harness.js sim runtime ${name}`;
}

export function exploreRuntime(scenario: Scenario, seeds: number): Promise<Exploration> {
  return explore(scenario, { seeds, replay: replayCommand(scenario) });
}

/** True when every promise was kept. */
export async function runSimulations(
  names: readonly string[],
  { seeds, seed, chaos }: SimulationRequest,
): Promise<boolean> {
  const wanted = RUNTIME_SCENARIOS.filter(({ name }) => names.length === 0 || names.includes(name));
  let kept = true;
  for (const scenario of wanted) {
    const held =
      seed === undefined ? await many(scenario, seeds) : await one(scenario, seed, chaos);
    kept &&= held;
  }
  return kept;
}

async function many(scenario: Scenario, seeds: number): Promise<boolean> {
  try {
    const { runs, steps } = await exploreRuntime(scenario, seeds);
    console.log(`kept    ${scenario.name}: ${runs} seeds, ${steps} steps`);
    return true;
  } catch (error) {
    console.log(`BROKEN  ${error instanceof Error ? error.message : String(error)}`);
    return false;
  }
}

async function one(scenario: Scenario, seed: number, chaos: number | undefined): Promise<boolean> {
  const { failure, trace, steps, digest } = await simulate(scenario, seed, chaos);
  console.log(trace());
  console.log(`\n${scenario.name}, seed ${seed}: ${steps} steps, trace ${digest}`);
  console.log(failure === null ? "kept" : `BROKEN  ${failure}`);
  return failure === null;
}
