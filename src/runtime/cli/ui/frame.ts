/**
 * A few lines at the bottom of a terminal that are redrawn in place, at most ten times a second,
 * while permanent lines scroll away above them. Requests in between are coalesced. It never
 * clears what it did not draw, survives a change of the window's width, and gives the cursor back
 * when it is closed.
 */
import type { Clock, Timer } from "../../clock.ts";
import { displayWidth, truncate } from "./width.ts";

/** Shortest time between two redraws: 10 Hz. */
export const FRAME_INTERVAL_MS = 100;

/** Permanent lines that may wait for the next redraw; more are written at once. */
const MAX_WAITING_LINES = 256;

const HIDE_CURSOR = "\u001b[?25l";
const SHOW_CURSOR = "\u001b[?25h";
const ERASE_REST_OF_LINE = "\u001b[K";
const ERASE_BELOW = "\u001b[J";

/** The terminal as the frame uses it; sizes are asked for again at every redraw. */
export interface Screen {
  readonly write: (text: string) => void;
  readonly columns: () => number;
  /** Height in lines; without it the frame is taken to fit. */
  readonly rows?: (() => number) | undefined;
  readonly clock: Clock;
}

/** Makes the frame's lines for a width and a greatest number of lines. */
export type Render = (columns: number, maxLines: number) => readonly string[];

/** Owns the last lines of the terminal from its first redraw until it is closed. */
export class Frame {
  readonly #screen: Screen;
  readonly #render: Render;
  /** Display widths of the lines that stand on the screen now. */
  #drawn: readonly number[] = [];
  #waiting: string[] = [];
  #paintedMs = Number.NEGATIVE_INFINITY;
  #timer: Timer | null = null;
  #hidden = false;
  #closed = false;

  constructor(screen: Screen, render: Render) {
    this.#screen = screen;
    this.#render = render;
  }

  /** Something in the frame has changed. */
  refresh(): void {
    if (this.#closed || this.#timer !== null) return;
    const { clock } = this.#screen;
    const waitMs = this.#paintedMs + FRAME_INTERVAL_MS - clock.monotonicMs();
    if (waitMs <= 0) {
      this.#paint(false);
      return;
    }
    this.#timer = clock.after(
      waitMs,
      () => {
        this.#timer = null;
        this.#paint(false);
      },
      true,
    );
  }

  /** Adds permanent lines above the frame; they appear with the next redraw. */
  print(lines: readonly string[]): void {
    if (this.#closed) {
      this.#screen.write(lines.map((line) => `${line}\n`).join(""));
      return;
    }
    this.#waiting.push(...lines);
    if (this.#waiting.length > MAX_WAITING_LINES) this.#paint(false);
    else this.refresh();
  }

  /**
   * Writes what is still waiting and shows the cursor again. `keep` leaves the last frame standing,
   * so that a person sees where a failed run was. Idempotent.
   */
  close(keep: boolean): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer?.cancel();
    this.#timer = null;
    try {
      this.#paint(!keep);
    } finally {
      if (this.#hidden) this.#screen.write(SHOW_CURSOR);
    }
  }

  /** One write: up to the frame's first line, permanent lines, the new frame, erase the rest. */
  #paint(withoutFrame: boolean): void {
    const columns = Math.max(1, this.#screen.columns());
    const rows = this.#screen.rows?.() ?? Number.POSITIVE_INFINITY;
    // One column stays free: a line of full width would make some terminals wrap.
    const width = Math.max(1, columns - 1);
    const maxLines = Math.max(1, rows - 1);
    const frame = withoutFrame
      ? []
      : this.#render(width, maxLines)
          .slice(0, maxLines)
          .map((line) => truncate(line, width));
    const lines = [...this.#waiting, ...frame].map((line) => `${line}${ERASE_REST_OF_LINE}\n`);
    const text = `${this.#hide()}${this.#moveToTop(columns)}${lines.join("")}${ERASE_BELOW}`;
    this.#waiting = [];
    this.#drawn = frame.map(displayWidth);
    this.#paintedMs = this.#screen.clock.monotonicMs();
    this.#screen.write(text);
  }

  #hide(): string {
    if (this.#hidden) return "";
    this.#hidden = true;
    return HIDE_CURSOR;
  }

  /** A window that became narrower has wrapped the old lines: they now take more rows. */
  #moveToTop(columns: number): string {
    const up = this.#drawn.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / columns)), 0);
    return up === 0 ? "" : `\u001b[${up}A\r`;
  }
}
