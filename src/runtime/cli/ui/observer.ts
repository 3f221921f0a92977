/**
 * Shows a run while it runs. Four ways: a live frame on a terminal, one line per epoch elsewhere,
 * one JSON line per event for programs, and only the summary when asked to be quiet. It writes
 * nowhere but through `write`, and never changes what the run does.
 */
import type { RunEvent, RunObserver } from "../../../protocols/run.ts";
import type { Clock } from "../../clock.ts";
import { printableEvent } from "./event-text.ts";
import { Frame } from "./frame.ts";
import { frameLines } from "./frame-view.ts";
import { createGlossary } from "./glossary.ts";
import { breakLine, type Line, lineOf } from "./line.ts";
import { epochLine, isNotable, noticeLine, restartLine, seedLine } from "./lines.ts";
import { applyEvent, newLiveState } from "./live-state.ts";
import { createPalette, type Palette } from "./palette.ts";
import { startBlock } from "./start-block.ts";
import { summaryBlock } from "./summary-block.ts";

/** How the user calls this program, as it stands in the next commands. */
const PROGRAM = "node dist/runtime.js";

/** Where and how to show the run. */
export interface ObserverOptions {
  readonly mode: "tty" | "plain" | "json" | "quiet";
  readonly write: (text: string) => void;
  /** Width of the terminal in characters; asked again for every redraw. */
  readonly columns: () => number;
  readonly rows?: () => number;
  readonly colour: boolean;
  readonly clock: Clock;
  /** Start of the commands that the summary suggests. */
  readonly program?: string;
}

/** An observer that must be closed, also after an error: only then is the cursor back. */
export interface ClosableObserver extends RunObserver {
  close(): void;
}

/** An observer of the asked kind; nothing is written before the first event. */
export function createObserver(options: ObserverOptions): ClosableObserver {
  switch (options.mode) {
    case "json":
      return jsonObserver(options);
    case "quiet":
      return quietObserver(options);
    case "plain":
      return plainObserver(options);
    case "tty":
      return ttyObserver(options);
  }
}

function jsonObserver({ write }: ObserverOptions): ClosableObserver {
  return {
    on(event) {
      if (event.kind !== "progress") write(`${JSON.stringify(event)}\n`);
    },
    close: () => undefined,
  };
}

function quietObserver(options: ObserverOptions): ClosableObserver {
  const lines = createLines(options);
  return {
    on(event) {
      if (event.kind === "finished") write(options, lines(event));
    },
    close: () => undefined,
  };
}

function plainObserver(options: ObserverOptions): ClosableObserver {
  const lines = createLines(options);
  return {
    on: (event) => write(options, lines(event)),
    close: () => undefined,
  };
}

function ttyObserver(options: ObserverOptions): ClosableObserver {
  const { clock } = options;
  const palette = createPalette(options.colour);
  const lines = createLines(options);
  const state = newLiveState();
  const frame = new Frame(
    { write: options.write, columns: options.columns, rows: options.rows, clock },
    (columns, maxLines) => frameLines(state, palette, clock.monotonicMs(), columns, maxLines),
  );
  return {
    on(event) {
      const clean = printableEvent(event);
      applyEvent(state, clean, clock.monotonicMs());
      // The frame itself shows epochs, so they leave no line behind.
      const said = event.kind === "epoch" ? [] : lines(event);
      const columns = Math.max(20, options.columns() - 1);
      frame.print(said.flatMap((line) => breakLine(line, columns)));
      if (event.kind === "finished") frame.close(false);
    },
    // A run that never moved has nothing to leave standing.
    close: () => frame.close(state.progress !== null || state.epoch !== null),
  };
}

function write(options: ObserverOptions, lines: readonly Line[]): void {
  if (lines.length > 0) options.write(lines.map(({ text }) => `${text}\n`).join(""));
}

/** Turns events into the lines that stay, each Esper name explained at its first use. */
function createLines(options: ObserverOptions): (event: RunEvent) => Line[] {
  const palette = createPalette(options.colour);
  const glossary = createGlossary();
  const run = { epochs: 0, scoreName: "accuracy" as "accuracy" | "R2" };
  return (event) => {
    const clean = printableEvent(event);
    if (clean.kind === "started") {
      run.epochs = clean.epochs;
      run.scoreName = clean.dataset.task === "classification" ? "accuracy" : "R2";
    }
    const lines =
      clean.kind === "epoch"
        ? [lineOf(epochLine(clean, run.epochs, run.scoreName, palette))]
        : lastingLines(clean, options, palette);
    return lines.map(({ text, hang }) => lineOf(glossary.explain(text), hang));
  };
}

function lastingLines(event: RunEvent, options: ObserverOptions, palette: Palette): Line[] {
  switch (event.kind) {
    case "started":
      return startBlock(event, palette);
    case "seed":
      return isNotable(event.transition) ? [lineOf(seedLine(event.transition, palette))] : [];
    case "restart":
      return [lineOf(restartLine(event, palette))];
    case "notice":
      return [lineOf(noticeLine(event.level, event.message, palette))];
    case "finished":
      return summaryBlock(event.summary, options.program ?? PROGRAM, palette);
    default:
      return [];
  }
}
