/** The public test kit: everything importable as "esper-runtime/testkit". */
export {
  type Exploration,
  type ExploreOptions,
  explore,
  type Scenario,
  type SimulatedRun,
  type StartKit,
  simulate,
} from "./runtime/testkit/explore.ts";
export type { Step, StepMatch } from "./runtime/testkit/stepper.ts";
export { TestKit, type TestKitOptions } from "./runtime/testkit/test-kit.ts";
export { Trace, type TracedStep } from "./runtime/testkit/trace.ts";
export { type DueTimer, VirtualClock } from "./runtime/testkit/virtual-clock.ts";
