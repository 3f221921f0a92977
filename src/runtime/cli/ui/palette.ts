/** What colours mean in the terminal. Without colour every function returns its text unchanged. */
import pc from "picocolors";

type Paint = (text: string) => string;

/** Functions that colour a text by what it means. */
export interface Palette {
  readonly title: Paint;
  readonly label: Paint;
  readonly faint: Paint;
  readonly good: Paint;
  readonly bad: Paint;
  readonly warn: Paint;
  readonly training: Paint;
  readonly validation: Paint;
}

/** @param colour Decided by the caller from NO_COLOR and the stream; never guessed here. */
export function createPalette(colour: boolean): Palette {
  const colours = pc.createColors(colour);
  return {
    title: colours.bold,
    label: colours.dim,
    faint: colours.dim,
    good: colours.green,
    bad: colours.red,
    warn: colours.yellow,
    training: colours.cyan,
    validation: colours.magenta,
  };
}
