/** A permanent line and how it may be broken where the terminal is narrower than the line. */
import { wrap } from "./width.ts";

/** One line without its newline. */
export interface Line {
  readonly text: string;
  /** Spaces before the continuation lines; null is never broken, so that it can be copied. */
  readonly hang: number | null;
}

/** A line that may be broken, indented by six spaces unless told otherwise. */
export const lineOf = (text: string, hang: number | null = 6): Line => ({ text, hang });

/** The line as lines of at most `columns` columns. */
export function breakLine({ text, hang }: Line, columns: number): string[] {
  return hang === null ? [text] : wrap(text, columns, hang);
}
