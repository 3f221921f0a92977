/**
 * Two intertwined spirals, the benchmark of Lang & Witbrock (1988) and of Fahlman & Lebiere (1990):
 * 194 training points. Validation and test points lie on the same arms between them.
 */
import type { Dataset } from "../../../protocols/dataset.ts";
import { assemblePoints, type LabelledPoint } from "./assemble.ts";

const POINTS_PER_ARM = 97;
const RADIUS = 6.5;

/** Position t on an arm to (r sin a, r cos a), a = t pi / 16, r = 6.5 (104 - t) / 104. */
function pointOnArm(position: number): readonly [number, number] {
  const angle = (position * Math.PI) / 16;
  const radius = (RADIUS * (104 - position)) / 104;
  return [radius * Math.sin(angle), radius * Math.cos(angle)];
}

/** Both arms at positions i + offset that lie between the first and the last training point. */
function armsAt(offset: number): LabelledPoint[] {
  const points: LabelledPoint[] = [];
  for (let step = 0; step + offset <= POINTS_PER_ARM - 1; step++) {
    const [x, y] = pointOnArm(step + offset);
    points.push({ values: [x, y], label: 1 }, { values: [-x, -y], label: 0 });
  }
  return points;
}

/** The points are the same for every seed. */
export function makeSpirals(): Dataset {
  return assemblePoints({
    name: "spirals",
    columns: ["x", "y"],
    targetName: "arm",
    classes: ["second", "first"],
    train: armsAt(0),
    validation: armsAt(0.5),
    test: [...armsAt(0.25), ...armsAt(0.75)],
    standardise: true,
    notes: [
      "the classic 194 points; validation halfway between neighbours on the arms, test a quarter " +
        "of the way from either",
    ],
  });
}
