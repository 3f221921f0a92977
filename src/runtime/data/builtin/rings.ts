/** Three concentric rings in the plane with radial noise; every part is drawn anew. */
import type { Dataset } from "../../../protocols/dataset.ts";
import { createRandom } from "../../random.ts";
import { assemblePoints, type LabelledPoint } from "./assemble.ts";

const RADII = [1, 2, 3] as const;
/** Standard deviation of the radius; rings are 1 apart, so 0.09 % of a ring lies past a border. */
const RADIAL_NOISE = 0.15;
const TRAIN_POINTS = 600;
const HELD_OUT_POINTS = 300;

// Each part has its own stream, so that the size of one never changes the points of another.
function drawRings(seed: number, part: string, count: number): LabelledPoint[] {
  const random = createRandom(seed, `rings/${part}`);
  return Array.from({ length: count }, (_, index) => {
    const label = index % RADII.length;
    const angle = 2 * Math.PI * random.next();
    const radius = (RADII[label] ?? 0) + RADIAL_NOISE * random.normal();
    return { values: [radius * Math.cos(angle), radius * Math.sin(angle)], label };
  });
}

/** Balanced: the classes take turns. */
export function makeRings(seed: number): Dataset {
  return assemblePoints({
    name: "rings",
    columns: ["x", "y"],
    targetName: "ring",
    classes: ["inner", "middle", "outer"],
    train: drawRings(seed, "train", TRAIN_POINTS),
    validation: drawRings(seed, "validation", HELD_OUT_POINTS),
    test: drawRings(seed, "test", HELD_OUT_POINTS),
    standardise: true,
    notes: [`rings of radius ${RADII.join(", ")} with radial noise ${RADIAL_NOISE}`],
  });
}
