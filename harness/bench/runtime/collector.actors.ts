/**
 * The actor on the main thread that takes the outcome of a measurement: whichever actor ends it
 * casts a report here, the bench awaits it.
 */
import { cast, defineActor, protocol } from "esper-runtime";

/** Numbers by name: instants in monotonic milliseconds, counts, faults. */
export type Report = Readonly<Record<string, number>>;

export const CollectorProtocol = protocol("collector", {
  report: cast<Report>(),
  latencies: cast<Float64Array>(),
});

class Inbox<T> {
  readonly #early: T[] = [];
  #waiting: ((value: T) => void) | null = null;

  put(value: T): void {
    if (this.#waiting === null) this.#early.push(value);
    else this.#waiting(value);
    this.#waiting = null;
  }

  /** Forgets what a measurement that failed left behind. */
  clear(): void {
    this.#early.length = 0;
    this.#waiting = null;
  }

  next(): Promise<T> {
    const early = this.#early.shift();
    if (early !== undefined) return Promise.resolve(early);
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }
}

const reports = new Inbox<Report>();
const series = new Inbox<Float64Array>();

export const collector = defineActor(import.meta.url, CollectorProtocol, {
  setup: () => ({}),
  receive: {
    report: (_state, report) => reports.put(report),
    latencies: (_state, latencies) => series.put(latencies),
  },
});

/** Before a new system starts: what an old one sent late is nobody's outcome. */
export function forgetReports(): void {
  reports.clear();
  series.clear();
}

const LIMIT_MS = 120_000;

async function withinLimit<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${LIMIT_MS} ms`)), LIMIT_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The next report of an actor; a measurement that counted faults is none. */
export async function nextReport(): Promise<Report> {
  const report = await withinLimit("report", reports.next());
  if (report["faults"] !== 0) throw new Error(`broken measurement: ${JSON.stringify(report)}`);
  return report;
}

/** The next series of latencies, in microseconds. */
export const nextLatencies = (): Promise<Float64Array> => withinLimit("latencies", series.next());

/** Operations a second between the report's two instants. */
export function rateOf(report: Report): number {
  const { startedAtMs = Number.NaN, endedAtMs = Number.NaN, operations = Number.NaN } = report;
  const rate = (operations / (endedAtMs - startedAtMs)) * 1_000;
  if (!(rate > 0)) throw new Error(`not a measurement: ${JSON.stringify(report)}`);
  return rate;
}
