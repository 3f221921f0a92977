/**
 * Draws strokes into small grey images: a pen of a given width is dragged along line segments, and
 * a pixel is as dark as the pen covers it. Coordinates are pixels; y grows downwards.
 */

/** In pixels, from the top left corner. */
export type Point = readonly [x: number, y: number];
/** A pen stroke: neighbouring points are joined by straight segments. */
export type Stroke = readonly Point[];

const ARC_SEGMENTS = 12;

/** Part of an ellipse. Turns: 0 is right, 0.25 is down, 0.5 is left, 0.75 is up. */
export function arc(
  centre: Point,
  radii: Point,
  turns: { readonly from: number; readonly to: number },
): Stroke {
  return Array.from({ length: ARC_SEGMENTS + 1 }, (_, step): Point => {
    const turn = turns.from + ((turns.to - turns.from) * step) / ARC_SEGMENTS;
    const angle = 2 * Math.PI * turn;
    return [centre[0] + radii[0] * Math.cos(angle), centre[1] + radii[1] * Math.sin(angle)];
  });
}

/** Darkness 0 to 1 of every pixel of a `side` x `side` image, row by row. */
export function drawStrokes(
  strokes: readonly Stroke[],
  penWidth: number,
  side: number,
): Float32Array {
  const image = new Float32Array(side * side);
  for (const stroke of strokes) {
    for (let at = 1; at < stroke.length; at++) {
      const start = stroke[at - 1];
      const end = stroke[at];
      if (start !== undefined && end !== undefined) drawSegment(image, side, start, end, penWidth);
    }
  }
  return image;
}

function drawSegment(
  image: Float32Array,
  side: number,
  start: Point,
  end: Point,
  penWidth: number,
): void {
  const reach = penWidth / 2 + 1;
  const clamp = (value: number) => Math.min(side - 1, Math.max(0, Math.round(value)));
  const top = clamp(Math.min(start[1], end[1]) - reach);
  const bottom = clamp(Math.max(start[1], end[1]) + reach);
  const left = clamp(Math.min(start[0], end[0]) - reach);
  const right = clamp(Math.max(start[0], end[0]) + reach);
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      const distance = distanceToSegment([x + 0.5, y + 0.5], start, end);
      // The edge of the pen falls off linearly over one pixel.
      const cover = Math.min(1, Math.max(0, penWidth / 2 + 0.5 - distance));
      const at = y * side + x;
      image[at] = Math.max(image[at] ?? 0, cover);
    }
  }
}

function distanceToSegment(point: Point, start: Point, end: Point): number {
  const along: Point = [end[0] - start[0], end[1] - start[1]];
  const length = along[0] ** 2 + along[1] ** 2;
  const projected =
    length === 0
      ? 0
      : ((point[0] - start[0]) * along[0] + (point[1] - start[1]) * along[1]) / length;
  const share = Math.min(1, Math.max(0, projected));
  const [dx, dy] = [point[0] - start[0] - share * along[0], point[1] - start[1] - share * along[1]];
  return Math.sqrt(dx * dx + dy * dy);
}
