/** The jobs of the cancellation soak, as the workers of a pool load them. */
import { defineJobs, EsperError, type JobContext } from "esper-runtime";
import { type StepOrder, step } from "./stepping.ts";

interface PoolOrder extends StepOrder {
  readonly memory: SharedArrayBuffer;
}

export const soakJobs = defineJobs(import.meta.url, {
  step: (order: PoolOrder, job: JobContext) => step(order.memory, order, job.token),
  /** Waits without computing, and is told while it waits. */
  wait: ({ limitMs }: PoolOrder, job: JobContext) =>
    new Promise<number>((resolve, reject) => {
      const timer = setTimeout(resolve, limitMs, 0);
      job.token.onCancel(() => {
        clearTimeout(timer);
        reject(new EsperError("CANCELLED", "told while it waited"));
      });
    }),
});
