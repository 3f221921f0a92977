/**
 * How wide text is on a terminal, and how to cut, pad and wrap it by that width. Colour codes have
 * no width and are never cut in half. Text of other people (column names, classes, messages) goes
 * through `printable` first, so that it can neither move the cursor nor colour the screen.
 */

const COLOUR = "\u001b\\[[0-9;]*m";
const TOKENS = new RegExp(`${COLOUR}|[\\s\\S]`, "gu");
const COLOURS = new RegExp(COLOUR, "gu");
const RESET = "\u001b[0m";
const ELLIPSIS = "…";

/** Marks that combine with the character before them, and characters that are not drawn. */
const NO_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}\p{Cc}]$/u;
/** East Asian wide and full-width blocks, and emoji: two cells each. */
const WIDE = new RegExp(
  "^(?:[\\u1100-\\u115f\\u2e80-\\u303e\\u3041-\\ua4cf\\uac00-\\ud7a3\\uf900-\\ufaff" +
    "\\ufe30-\\ufe6f\\uff00-\\uff60\\uffe0-\\uffe6\\u{20000}-\\u{3fffd}]" +
    "|\\p{Emoji_Presentation})$",
  "u",
);

const CONTROL = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Replaces every character that could act on a terminal by a visible `\u{..}`. */
export function printable(text: string): string {
  return text.replace(CONTROL, (character) =>
    character === "\t" || character === "\n" || character === "\r"
      ? " "
      : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

function cells(token: string): number {
  if (token.length > 1 && token.startsWith("\u001b")) return 0;
  const code = token.codePointAt(0) ?? 0;
  if (code >= 0x20 && code < 0x7f) return 1;
  if (NO_WIDTH.test(token)) return 0;
  return WIDE.test(token) ? 2 : 1;
}

/** Columns that `text` takes on a terminal. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const [token] of text.matchAll(TOKENS)) width += cells(token);
  return width;
}

/** Cuts `text` to at most `columns` columns; a cut shows as `…` and ends any colour. */
export function truncate(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text;
  if (columns <= 0) return "";
  let width = 0;
  let kept = "";
  let coloured = false;
  for (const [token] of text.matchAll(TOKENS)) {
    const size = cells(token);
    if (width + size > columns - 1) break;
    if (token.length > 1 && size === 0) coloured = true;
    kept += token;
    width += size;
  }
  return `${kept}${ELLIPSIS}${coloured ? RESET : ""}`;
}

/** Fills with spaces up to `columns`; longer text is left as it is. */
export function padEnd(text: string, columns: number): string {
  return text + " ".repeat(Math.max(0, columns - displayWidth(text)));
}

/** As `padEnd`, to the left of the text. */
export function padStart(text: string, columns: number): string {
  return " ".repeat(Math.max(0, columns - displayWidth(text))) + text;
}

/**
 * Breaks a line at spaces into lines of at most `columns` columns; all but the first are indented.
 * A word that is longer than a line is left whole, so that paths can be copied.
 */
export function wrap(line: string, columns: number, indent: number): string[] {
  if (displayWidth(line) <= columns) return [line];
  const margin = " ".repeat(indent);
  const lines: string[] = [];
  let current = "";
  for (const [piece] of line.matchAll(/\s*\S+/g)) {
    const fits = displayWidth(current) + displayWidth(piece) <= columns;
    if (fits || current.trim() === "") {
      current += piece;
      continue;
    }
    lines.push(current);
    current = margin + piece.trimStart();
  }
  return [...lines, current];
}

/** The line without its colour codes. */
export function stripColour(text: string): string {
  return text.replace(COLOURS, "");
}
