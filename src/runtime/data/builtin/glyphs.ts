/**
 * The ten digits as pen strokes in the unit square, y downwards. Some digits have two common forms;
 * which one is drawn is chosen per image.
 */
import { arc, type Stroke } from "./strokes.ts";

/** One way to write a digit. */
export type Glyph = readonly Stroke[];

const ZERO: Glyph = [arc([0.5, 0.5], [0.28, 0.42], { from: 0, to: 1 })];

const ONE_PLAIN: Glyph = [
  [
    [0.34, 0.25],
    [0.54, 0.08],
    [0.54, 0.92],
  ],
];
const ONE_WITH_FOOT: Glyph = [
  ...ONE_PLAIN,
  [
    [0.32, 0.92],
    [0.76, 0.92],
  ],
];

const TWO: Glyph = [
  [...arc([0.5, 0.32], [0.27, 0.24], { from: 0.55, to: 1.1 }), [0.24, 0.92], [0.8, 0.92]],
];

const THREE: Glyph = [
  [
    ...arc([0.47, 0.29], [0.25, 0.21], { from: 0.58, to: 1.25 }),
    ...arc([0.47, 0.71], [0.29, 0.21], { from: 0.75, to: 1.42 }),
  ],
];

const FOUR_CLOSED: Glyph = [
  [
    [0.64, 0.93],
    [0.64, 0.07],
    [0.18, 0.66],
    [0.86, 0.66],
  ],
];
const FOUR_OPEN: Glyph = [
  [
    [0.3, 0.08],
    [0.22, 0.55],
    [0.8, 0.55],
  ],
  [
    [0.68, 0.1],
    [0.66, 0.93],
  ],
];

const FIVE: Glyph = [
  [
    [0.77, 0.09],
    [0.3, 0.09],
    [0.27, 0.46],
    ...arc([0.47, 0.65], [0.3, 0.26], { from: 0.68, to: 1.42 }),
  ],
];

const SIX: Glyph = [
  [
    ...arc([0.68, 0.62], [0.44, 0.55], { from: 0.75, to: 0.5 }),
    ...arc([0.5, 0.68], [0.26, 0.24], { from: 0.5, to: -0.5 }),
  ],
];

const SEVEN_PLAIN: Glyph = [
  [
    [0.2, 0.1],
    [0.8, 0.1],
    [0.4, 0.93],
  ],
];
const SEVEN_BARRED: Glyph = [
  ...SEVEN_PLAIN,
  [
    [0.38, 0.5],
    [0.76, 0.5],
  ],
];

const EIGHT: Glyph = [
  arc([0.5, 0.29], [0.21, 0.2], { from: 0.25, to: 1.25 }),
  arc([0.5, 0.7], [0.27, 0.22], { from: 0.75, to: 1.75 }),
];

const NINE_CURVED: Glyph = [
  [
    ...arc([0.5, 0.32], [0.26, 0.24], { from: 0, to: 1 }),
    ...arc([0.32, 0.38], [0.44, 0.55], { from: 0, to: 0.25 }),
  ],
];
const NINE_STRAIGHT: Glyph = [
  [...arc([0.5, 0.32], [0.25, 0.24], { from: 0, to: 1 }), [0.68, 0.93]],
];

/** The forms of each digit, by digit. */
export const DIGIT_GLYPHS: readonly (readonly Glyph[])[] = [
  [ZERO],
  [ONE_PLAIN, ONE_WITH_FOOT],
  [TWO],
  [THREE],
  [FOUR_CLOSED, FOUR_OPEN],
  [FIVE],
  [SIX],
  [SEVEN_PLAIN, SEVEN_BARRED],
  [EIGHT],
  [NINE_CURVED, NINE_STRAIGHT],
];
