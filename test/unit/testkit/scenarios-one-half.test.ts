import { describe } from "vitest";
import { exploreEverySecond } from "./explorations.ts";

describe("in every interleaving", () => {
  exploreEverySecond(0);
});
