import { describe, expect, it } from "vitest";
import { assertMove, canMove, isAlive } from "../../../../src/actors/kasmina/lifecycle.ts";
import { SeedStage, type SeedStageName } from "../../../../src/protocols/leyline/enums.ts";

const stages = Object.keys(SeedStage) as SeedStageName[];
const allowed = new Set([
  "UNKNOWN>DORMANT",
  "DORMANT>GERMINATED",
  "DORMANT>TERMINATED",
  "GERMINATED>TRAINING",
  "GERMINATED>CULLED",
  "TRAINING>BLENDING",
  "TRAINING>CULLED",
  "BLENDING>SHADOWING",
  "BLENDING>CULLED",
  "SHADOWING>PROBATIONARY",
  "SHADOWING>CULLED",
  "PROBATIONARY>FOSSILIZED",
  "PROBATIONARY>CULLED",
  "FOSSILIZED>TERMINATED",
  "CULLED>EMBARGOED",
  "EMBARGOED>RESETTING",
  "RESETTING>DORMANT",
]);

describe("the seed lifecycle", () => {
  it("allows exactly the reference's moves among all pairs of stages", () => {
    const found = stages.flatMap((from) =>
      stages.filter((to) => canMove(from, to)).map((to) => `${from}>${to}`),
    );
    expect(new Set(found)).toEqual(allowed);
  });

  it("names the allowed stages when it refuses a move", () => {
    expect(() => assertMove("seed-1", "GERMINATED", "FOSSILIZED")).toThrow(
      /seed-1 is GERMINATED and cannot become FOSSILIZED; allowed: TRAINING, CULLED/,
    );
  });

  it("counts a seed as alive exactly while it can still be culled", () => {
    expect(stages.filter(isAlive)).toEqual([
      "GERMINATED",
      "TRAINING",
      "BLENDING",
      "SHADOWING",
      "PROBATIONARY",
    ]);
  });
});
