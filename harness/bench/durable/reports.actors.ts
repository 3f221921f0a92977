/** An actor that decides and reports: what each field report costs its thread. */
import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { type ActorRef, cast, defineActor, FieldReportsProtocol, protocol } from "esper-runtime";
import { CollectorProtocol } from "../runtime/collector.actors.ts";

export const DeciderProtocol = protocol("report-decider", {
  /** Reports on `count` decisions, one after another, as the controller does. */
  decide: cast<{ readonly count: number }>(),
});

/** Not exported by the package: the controller alone encodes reports. */
interface CodecModule {
  encodeFieldReport(report: Readonly<Record<string, unknown>>): Uint8Array;
}

const CODEC = new URL("../../../protocols/leyline/codec.js", import.meta.url).href;
const DEADLINE_MS = 10_000;

interface State {
  readonly reports: ActorRef<typeof FieldReportsProtocol.messages>;
  readonly codec: CodecModule;
  decisions: number;
}

/** What the controller reports of a decision that germinates a seed. */
function reportOf(number: number): Readonly<Record<string, unknown>> {
  const id = `20260101-000000-spirals-beef/1/${number}`;
  return {
    ...{ version: 1, reportId: `report/${id}`, commandId: "" },
    ...{ trainingRunId: "20260101-000000-spirals-beef", seedId: "", blueprintId: "" },
    outcome: "NEUTRAL",
    metrics: {
      ...{ loss_delta: -0.125, training_loss: 0.5, validation_loss: 0.625 },
      ...{ global_step: number, loss_drop: 0.25, selected_score: 0.75 },
    },
    ...{ observationWindowEpochs: 3, issuedAtMs: Date.now() },
    ...{ tamiyoPolicyVersion: "plateau-1", notes: "plateau" },
  };
}

/**
 * What this thread has computed so far, in the system and outside, in microseconds. Unlike the time
 * in which its loop was not idle, it does not count the work of others on a busy machine.
 */
function threadCpuUs(): number {
  return Number(readFileSync("/proc/thread-self/schedstat", "utf8").split(" ")[0]) / 1_000;
}

/** Encodes and sends; returns the answer and the microseconds until it could do something else. */
function send(
  state: State,
  report: ReturnType<typeof reportOf>,
): { readonly answer: Promise<unknown>; readonly tookUs: number } {
  const startedMs = performance.now();
  const bytes = state.codec.encodeFieldReport(report);
  const message = { report: bytes, decision: true, incarnation: 1, critical: false };
  const answer = state.reports.call("record", message, { deadlineMs: DEADLINE_MS });
  return { answer, tookUs: 1_000 * (performance.now() - startedMs) };
}

export const decider = defineActor(import.meta.url, DeciderProtocol, {
  setup: async (context): Promise<State> => ({
    reports: context.ref(FieldReportsProtocol, "reports"),
    codec: (await import(CODEC)) as CodecModule,
    decisions: 0,
  }),
  receive: {
    async decide(state, { count }, context) {
      const sent = new Float64Array(count);
      // Made before, because what is reported on is not part of reporting it.
      const reports = Array.from({ length: count }, () => reportOf(++state.decisions));
      const before = threadCpuUs();
      for (const [decision, report] of reports.entries()) {
        const { answer, tookUs } = send(state, report);
        sent[decision] = tookUs;
        await answer;
      }
      const busyUs = (threadCpuUs() - before) / count;
      const to = context.ref(CollectorProtocol, "collector");
      to.cast("latencies", sent);
      to.cast("report", { busyUs, faults: 0 });
    },
  },
});
