/**
 * A terminal as far as the frame uses one: text, newline, carriage return, cursor up, erase to the
 * end of the line and below, show and hide the cursor. Anything else fails the test. Text that is
 * wider than the screen wraps, as on a real terminal.
 */
import { displayWidth } from "../../../src/runtime/cli/ui/width.ts";

// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are the subject here.
const TOKENS = /\u001b\[(\??\d*(?:;\d+)*)([A-Za-z])|[\s\S]/gu;

export class Terminal {
  columns: number;
  cursorVisible = true;
  writes = 0;
  raw = "";
  #cells: string[][] = [[]];
  #row = 0;
  #column = 0;

  constructor(columns: number) {
    this.columns = columns;
  }

  readonly write = (text: string): void => {
    this.writes += 1;
    this.raw += text;
    for (const [token, parameters = "", command] of text.matchAll(TOKENS)) {
      if (command === undefined) this.#put(token);
      else this.#control(parameters, command);
    }
  };

  /** What stands on the screen and above it, without spaces at the ends of lines. */
  get lines(): string[] {
    return this.#cells.map((row) => row.join("").trimEnd());
  }

  get text(): string {
    return this.lines.join("\n");
  }

  #put(character: string): void {
    if (character === "\n") {
      this.#row += 1;
      this.#column = 0;
    } else if (character === "\r") {
      this.#column = 0;
    } else {
      const width = displayWidth(character);
      if (this.#column + width > this.columns) {
        this.#row += 1;
        this.#column = 0;
      }
      const row = this.#rowAt(this.#row);
      while (row.length < this.#column) row.push(" ");
      row[this.#column] = character;
      for (let extra = 1; extra < width; extra++) row[this.#column + extra] = "";
      this.#column += width;
    }
    this.#rowAt(this.#row);
  }

  #rowAt(index: number): string[] {
    while (this.#cells.length <= index) this.#cells.push([]);
    return this.#cells[index]!;
  }

  #control(parameters: string, command: string): void {
    if (command === "A") this.#row = Math.max(0, this.#row - Number(parameters || 1));
    else if (command === "K") this.#rowAt(this.#row).splice(this.#column);
    else if (command === "J") {
      this.#rowAt(this.#row).splice(this.#column);
      this.#cells.splice(this.#row + 1);
    } else if (command === "h" && parameters === "?25") this.cursorVisible = true;
    else if (command === "l" && parameters === "?25") this.cursorVisible = false;
    else if (command !== "m") throw new Error(`unknown escape sequence ${parameters}${command}`);
  }
}
