/** Strikes each fault that was asked for, once: some time after training began, or at a step. */
import type { FaultRequest } from "../../protocols/run.ts";
import type { Clock, Timer } from "../clock.ts";

/** The part of a running system that can be hurt. */
export interface FaultTarget {
  kill(actor: string): void;
  crash(actor: string): void;
}

export class FaultPlan {
  readonly #target: FaultTarget;
  readonly #timers: Timer[];
  #atStep: FaultRequest[];

  constructor(faults: readonly FaultRequest[], target: FaultTarget, clock: Clock) {
    this.#target = target;
    this.#atStep = faults.filter((fault) => "step" in fault.at);
    this.#timers = faults.flatMap((fault) =>
      "afterMs" in fault.at ? [clock.after(fault.at.afterMs, () => this.#strike(fault), true)] : [],
    );
  }

  /** The trainer has reported that `step` is done. */
  reached(step: number): void {
    const due = this.#atStep.filter((fault) => "step" in fault.at && fault.at.step <= step);
    if (due.length === 0) return;
    this.#atStep = this.#atStep.filter((fault) => !due.includes(fault));
    for (const fault of due) this.#strike(fault);
  }

  cancel(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#atStep = [];
  }

  #strike(fault: FaultRequest): void {
    if (fault.kind === "kill") this.#target.kill(fault.actor);
    else this.#target.crash(fault.actor);
  }
}
