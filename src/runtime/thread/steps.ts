/**
 * The order of the starts, the stops and the ends of one cell: they never overlap, and each waits
 * for those before it. A step that has nothing to wait for runs at once and allocates nothing.
 */

/** Begins something; whoever begins it calls `stepDone` when it is over, now or later. */
type Step = () => void;

/** Whose steps they are. */
export interface Stepping {
  /** Null while no step is in progress; else the steps that wait for it. */
  steps: Step[] | null;
}

/** Nothing waits behind the step in progress; never written to. */
const NONE: Step[] = [];

/** Runs `step` after the one in progress and those that wait already. */
export function stepLater(cell: Stepping, step: Step): void {
  if (cell.steps === null || cell.steps === NONE) cell.steps = [step];
  else cell.steps.push(step);
}

/** To be called first by every step. */
export function stepBegins(cell: Stepping): void {
  if (cell.steps === null) cell.steps = NONE;
}

/** True, and the step is over, if no other waits for it. */
export function stepDoneAlone(cell: Stepping): boolean {
  if (cell.steps !== null && cell.steps.length > 0) return false;
  cell.steps = null;
  return true;
}

/** To be called last by every step: the next one begins. */
export function stepDone(cell: Stepping): void {
  if (stepDoneAlone(cell)) return;
  const next = cell.steps?.shift();
  next?.();
}
