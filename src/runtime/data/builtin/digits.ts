/**
 * Handwriting-like digits, 16 x 16 grey bytes: pen strokes under a random rotation, scale, shear
 * and shift, with a trembling hand, varying pen width and pixel noise. Every part is drawn anew.
 */
import type { Dataset } from "../../../protocols/dataset.ts";
import { createRandom, type Random } from "../../random.ts";
import { encodeImages, fitGrid, type LabelledImages } from "../images/pixels.ts";
import { finishBuiltin } from "./assemble.ts";
import { DIGIT_GLYPHS, type Glyph } from "./glyphs.ts";
import { drawStrokes, type Point, type Stroke } from "./strokes.ts";

/** Width and height of a digit in pixels. */
export const DIGIT_SIDE = 16;
const SHAPE = [DIGIT_SIDE, DIGIT_SIDE, 1] as const;
const PIXELS = DIGIT_SIDE * DIGIT_SIDE;
const PART_SIZES = { train: 2_000, validation: 500, test: 500 } as const;

/** How far a hand may stray. Lengths in shares of the image side unless the name says pixels. */
const JITTER = {
  rotationTurns: 0.05,
  scale: [0.62, 0.95],
  shear: 0.28,
  shiftPixels: 2,
  tremble: 0.018,
  penPixels: [1.1, 2.3],
  inkLevels: [150, 255],
  noiseLevels: 22,
} as const;

/** Inputs are the bytes scaled by mean and deviation of all training pixels. */
export function makeDigits(seed: number): Dataset {
  const train = drawDigits(seed, "train");
  const validation = drawDigits(seed, "validation");
  const test = drawDigits(seed, "test");
  const input = fitGrid(train, [...Array(train.count).keys()]);
  const encode = (images: LabelledImages) =>
    encodeImages(images, [...Array(images.count).keys()], input, (row) => images.labels[row] ?? 0);
  return finishBuiltin({
    name: "digits",
    inputShape: SHAPE,
    train: encode(train),
    validation: encode(validation),
    test: encode(test),
    input,
    targetName: "digit",
    classes: DIGIT_GLYPHS.map((_, digit) => String(digit)),
    notes: ["drawn by a seeded renderer: no recorded handwriting"],
  });
}

/** The images of one part as bytes, 0 for paper; the classes take turns, so they are balanced. */
export function drawDigits(seed: number, part: keyof typeof PART_SIZES): LabelledImages {
  // Each part has its own stream, so that the size of one never changes the images of another.
  const random = createRandom(seed, `digits/${part}`);
  const count = PART_SIZES[part];
  const pixels = new Uint8Array(count * PIXELS);
  const labels = new Uint8Array(count);
  for (let row = 0; row < count; row++) {
    const digit = row % DIGIT_GLYPHS.length;
    labels[row] = digit;
    pixels.set(drawDigit(random, digit), row * PIXELS);
  }
  return { path: "built-in: digits", count, shape: SHAPE, pixels, labels };
}

function drawDigit(random: Random, digit: number): Uint8Array {
  const forms = DIGIT_GLYPHS[digit] ?? [];
  const glyph = forms[random.integer(forms.length)] ?? [];
  const pen = between(random, JITTER.penPixels);
  const ink = between(random, JITTER.inkLevels);
  const cover = drawStrokes(placeGlyph(random, glyph), pen, DIGIT_SIDE);
  return Uint8Array.from(cover, (darkness) => {
    const level = darkness * ink + JITTER.noiseLevels * random.normal();
    return Math.min(255, Math.max(0, Math.round(level)));
  });
}

/** The glyph in pixels: trembled, scaled, sheared, rotated about its middle, shifted. */
function placeGlyph(random: Random, glyph: Glyph): Stroke[] {
  const angle = 2 * Math.PI * spread(random, JITTER.rotationTurns);
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const width = DIGIT_SIDE * between(random, JITTER.scale);
  const height = DIGIT_SIDE * between(random, JITTER.scale);
  const shear = spread(random, JITTER.shear);
  const middleX = DIGIT_SIDE / 2 + spread(random, JITTER.shiftPixels);
  const middleY = DIGIT_SIDE / 2 + spread(random, JITTER.shiftPixels);
  const place = ([x, y]: Point): Point => {
    const down = (y - 0.5 + JITTER.tremble * random.normal()) * height;
    const across = (x - 0.5 + JITTER.tremble * random.normal()) * width - shear * down;
    return [middleX + cos * across - sin * down, middleY + sin * across + cos * down];
  };
  return glyph.map((stroke) => stroke.map(place));
}

/** Uniform between the two bounds. */
function between(random: Random, [low, high]: readonly [number, number]): number {
  return low + (high - low) * random.next();
}

/** Uniform between -reach and reach. */
function spread(random: Random, reach: number): number {
  return reach * (2 * random.next() - 1);
}
