/**
 * The open observation windows of a run. Pure: a decision gives the next windows and what must be
 * written for them, and becomes true only with `adopt`, once that is on disk.
 */
import type { WalNote } from "../../../protocols/actors/durable.ts";
import type { FieldReport } from "../../../protocols/leyline/command.ts";
import {
  closingReport,
  decodeWindow,
  encodeWindow,
  type Observation,
  type ObservationWindow,
  observe,
  openWindow,
  type WindowEnd,
} from "./window.ts";

/** The notes of windows begin with this. */
export const WINDOW_PREFIX = "window/";

/** A window that has ended, and the note that goes with its report. */
export interface ClosedWindow {
  readonly report: FieldReport;
  readonly note: WalNote;
}

/** What one decision does to the windows. */
export interface WindowChange {
  /** For the decision's own record. */
  readonly notes: readonly WalNote[];
  /** Each for a record of its own. */
  readonly closed: readonly ClosedWindow[];
  readonly windows: ReadonlyMap<string, ObservationWindow>;
}

/** More than any policy germinates within one window; the oldest makes room. */
const WINDOWS_MAX = 64;

const keyOf = (commandId: string): string => `${WINDOW_PREFIX}${commandId}`;

/** The windows of one run. */
export class Windows {
  readonly #target: number;
  #open: ReadonlyMap<string, ObservationWindow>;
  /** Notes that could not be read. */
  readonly loadErrors: number;

  /** `target` observations close a window; below 2 none is opened. */
  constructor(target: number, notes: ReadonlyMap<string, Uint8Array>) {
    const open = new Map<string, ObservationWindow>();
    let loadErrors = 0;
    for (const bytes of notes.values()) {
      const window = decodeWindow(bytes);
      if (window === null) loadErrors++;
      else open.set(window.commandId, window);
    }
    this.#target = target;
    this.#open = open;
    this.loadErrors = loadErrors;
  }

  get size(): number {
    return this.#open.size;
  }

  adopt(change: Pick<WindowChange, "windows">): void {
    this.#open = change.windows;
  }

  /** What the report on a decision does. */
  decided(report: FieldReport, seen: Observation): WindowChange {
    const windows = new Map(this.#open);
    const notes: WalNote[] = [];
    const ended: [ObservationWindow, WindowEnd][] = [];
    for (const window of this.#open.values()) {
      if (wasTakenBack(window, seen)) {
        ended.push([window, "rewound"]);
        continue;
      }
      const next = observe(window, seen);
      if (next === window) continue;
      windows.set(next.commandId, next);
      notes.push({ key: keyOf(next.commandId), bytes: encodeWindow(next) });
      if (next.collected >= next.target) ended.push([next, "complete"]);
    }
    this.#begin(report, seen, { windows, notes, ended });
    return { notes, windows, ...close(ended, windows, report.issuedAtMs) };
  }

  #begin(
    report: FieldReport,
    seen: Observation,
    into: {
      readonly windows: Map<string, ObservationWindow>;
      readonly notes: WalNote[];
      readonly ended: [ObservationWindow, WindowEnd][];
    },
  ): void {
    const { commandId } = report;
    if (this.#target < 2 || commandId === "" || into.windows.has(commandId)) return;
    const window = openWindow(report, seen, this.#target);
    into.windows.set(commandId, window);
    into.notes.push({ key: keyOf(commandId), bytes: encodeWindow(window) });
    if (into.windows.size - into.ended.length <= WINDOWS_MAX) return;
    const ending = new Set(into.ended.map(([{ commandId: id }]) => id));
    const oldest = [...into.windows.values()].find(({ commandId: id }) => !ending.has(id));
    if (oldest !== undefined) into.ended.push([oldest, "too many windows"]);
  }

  /** Windows that had seen enough when the log was last written, and were not closed any more. */
  overdue(nowMs: number): Omit<WindowChange, "notes"> {
    const full = [...this.#open.values()].filter(({ collected, target }) => collected >= target);
    const windows = new Map(this.#open);
    const ended = full.map((window): [ObservationWindow, WindowEnd] => [window, "complete"]);
    return { windows, ...close(ended, windows, nowMs) };
  }

  /** Closes all of them. */
  runEnded(nowMs: number): Omit<WindowChange, "notes"> {
    const windows = new Map(this.#open);
    const ended = [...windows.values()].map((window): [ObservationWindow, WindowEnd] => [
      window,
      "run ended",
    ]);
    return { windows, ...close(ended, windows, nowMs) };
  }
}

/** A run that was rewound to before a command decides anew; the command never was. */
function wasTakenBack(window: ObservationWindow, seen: Observation): boolean {
  const isLater = seen.runId === window.runId && seen.incarnation > window.incarnation;
  return isLater && window.startStep >= seen.step;
}

/** Takes the ended ones out of `windows`. */
function close(
  ended: readonly (readonly [ObservationWindow, WindowEnd])[],
  windows: Map<string, ObservationWindow>,
  nowMs: number,
): { readonly closed: readonly ClosedWindow[] } {
  const closed = ended.map(([window, end]): ClosedWindow => {
    windows.delete(window.commandId);
    const note = { key: keyOf(window.commandId), bytes: null };
    return { report: closingReport(window, end, nowMs), note };
  });
  return { closed };
}
