/** Mistakes inside a configuration are told with path, given value, type, and what is allowed. */
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { EsperError } from "../../../src/protocols/errors.ts";
import { describe as describeValue, parseConfig } from "../../../src/runtime/config/explain.ts";
import { checkConfig } from "../../../src/runtime/config/load.ts";
import { actor, supervisor } from "../../../src/runtime/topology.ts";
import { resident } from "./api.ts";

const leaf = actor(resident("one"), { thread: "a" });
const goodTree = supervisor({ children: { one: leaf } });
const goodTopology = {
  description: "One process.",
  engine: "wasm",
  fabric: { kind: "embedded" },
  tree: goodTree,
};
const good = { defaults: "t", runDirectory: "runs", topologies: { t: goodTopology } };

const withTopology = (change: object) => ({
  ...good,
  topologies: { t: { ...goodTopology, ...change } },
});
const withTree = (change: object) => withTopology({ tree: { ...goodTree, ...change } });
const withLeaf = (change: object) => withTree({ children: { one: { ...leaf, ...change } } });

function refusal(value: unknown): EsperError {
  try {
    checkConfig(value, "actors.config.ts");
  } catch (error) {
    if (error instanceof EsperError) return error;
    throw error;
  }
  throw new Error("the configuration was accepted");
}

function nested(depth: number): object {
  let tree: object = goodTree;
  for (let level = 0; level < depth; level++) {
    tree = { ...goodTree, children: { deeper: tree } };
  }
  return tree;
}

const INVALID = "CONFIG_INVALID";
const UNKNOWN = "CONFIG_UNKNOWN_KEY";
const AT_LEAF = "topologies.t.tree.children.one";

describe("a configuration", () => {
  test("that is right is accepted, and its definitions are kept as they are", () => {
    const checked = checkConfig(good, "x");
    expect(checked.topologies["t"]?.tree.children["one"]).toMatchObject({
      definition: leaf.definition,
    });
  });

  test.each<[string, unknown, string, string]>([
    ["is not an object", 7, INVALID, "(the whole value): given 7 (number); needed: object"],
    ["is null", null, INVALID, "given null"],
    ["is empty", {}, INVALID, "defaults: given nothing; needed: string"],
    ["has a number as default", { ...good, defaults: 3 }, INVALID, "defaults: given 3 (number)"],
    ["has no run directory", { ...good, runDirectory: "" }, INVALID, 'runDirectory: given "" (str'],
    ["has topologies as a list", { ...good, topologies: [] }, INVALID, "given a list of 0"],
    ["has a key too many", { ...good, seed: 1 }, UNKNOWN, "seed: unknown key; allowed keys: defau"],
    ["misspells a key", { ...good, topologys: {} }, UNKNOWN, "did you mean topologies?"],
    [
      "has a topology with a bad name",
      { ...good, topologies: { "Local CPU": goodTopology } },
      INVALID,
      'given the name "Local CPU" (string); allowed: a lower-case letter',
    ],
    [
      "names an unknown default",
      { ...good, defaults: "tt" },
      "TOPOLOGY_UNKNOWN",
      "did you mean t?",
    ],
    [
      "asks for an inherited name",
      { ...good, defaults: "toString" },
      "TOPOLOGY_UNKNOWN",
      '"toStri',
    ],
    ["has no topologies", { ...good, topologies: {} }, "TOPOLOGY_UNKNOWN", "no topology"],
    ["misspells the engine", withTopology({ engine: "wsam" }), INVALID, "did you mean wasm?"],
    ["has no description", withTopology({ description: "" }), INVALID, "description: given"],
    [
      "has another fabric",
      withTopology({ fabric: { kind: "nats" } }),
      INVALID,
      "fabric.kind: given",
    ],
    [
      "has a fabric key",
      withTopology({ fabric: { kind: "embedded", servers: [] } }),
      UNKNOWN,
      "fab",
    ],
    ["has no tree", withTopology({ tree: undefined }), INVALID, "topologies.t.tree: given nothing"],
    [
      "has an actor as tree",
      withTopology({ tree: leaf }),
      INVALID,
      "topologies.t.tree.kind: given",
    ],
    [
      "misspells a strategy",
      withTree({ strategy: "one_for_al" }),
      INVALID,
      "did you mean one_for_all",
    ],
    [
      "has negative intensity",
      withTree({ intensity: -1 }),
      INVALID,
      "given -1 (number); allowed: at l",
    ],
    ["has half an intensity", withTree({ intensity: 1.5 }), INVALID, "needed: a whole number"],
    [
      "has a zero period",
      withTree({ periodMs: 0 }),
      INVALID,
      "periodMs: given 0 (number); allowed: at",
    ],
    ["has a period as text", withTree({ periodMs: "5s" }), INVALID, 'given "5s" (string)'],
    ["misspells a period", withTree({ periodMS: 5 }), UNKNOWN, "did you mean periodMs?"],
    ["has no children", withTree({ children: {} }), INVALID, "this supervisor has no children"],
    ["has a child of no kind", withLeaf({ kind: "worker" }), INVALID, AT_LEAF],
    [
      "has a child that is null",
      withTree({ children: { one: null } }),
      INVALID,
      `${AT_LEAF}: given nul`,
    ],
    [
      "has a bad thread name",
      withLeaf({ thread: "Main Thread" }),
      INVALID,
      `${AT_LEAF}.thread: given`,
    ],
    ["has no definition", withLeaf({ definition: {} }), INVALID, "made by defineActor(...)"],
    [
      "has a config that is data",
      withLeaf({ config: {} }),
      INVALID,
      "needed: a function from the run",
    ],
    ["misspells a key of an actor", withLeaf({ tread: "a" }), UNKNOWN, "did you mean thread?"],
    ["is nested too deeply", withTopology({ tree: nested(20) }), INVALID, "more than 16 deep"],
  ])("that %s is refused", (_what, value, code, says) => {
    const error = refusal(value);
    expect(error.message).toContain(says);
    expect(error.code).toBe(code);
    expect(error.row.exitCode).toBe(2);
  });

  test("with a wrong value and an unknown key counts as invalid and tells both", () => {
    const error = refusal({ ...good, defaults: 3, runsDirectory: "x" });
    expect(error.code).toBe(INVALID);
    expect(error.details["problems"]).toHaveLength(2);
  });

  test("a supervisor used twice is refused because its actors are then named twice", () => {
    const value = withTree({ children: { left: goodTree, right: goodTree } });
    expect(refusal(value).message).toContain("the actor one is already at");
  });

  test("a circle is found before the schema would walk it for ever", () => {
    const inner: { children: Record<string, unknown> } = { ...goodTree, children: {} };
    inner.children["again"] = inner;
    expect(refusal(withTree({ children: { inner } })).message).toContain(
      "topologies.t.tree.children.inner.children.again: this supervisor is the same object as",
    );
  });
});

describe("the explanation", () => {
  test("lists at most 20 problems and counts the rest", () => {
    const schema = z.record(z.string(), z.number());
    const value = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`k${index}`, "x"]));
    expect(() => parseConfig(schema, value, "s")).toThrowError(/and 30 more$/);
  });

  test("names allowed keys inside optional, lazy and listed parts", () => {
    const schema = z.strictObject({
      list: z.array(z.lazy(() => z.strictObject({ weight: z.number() }).optional())),
    });
    expect(() => parseConfig(schema, { list: [{ weight: 1, wieght: 2 }] }, "s")).toThrowError(
      "list.0.wieght: unknown key; did you mean weight?",
    );
  });

  test.each([
    [undefined, "nothing"],
    [null, "null"],
    [[1, 2], "a list of 2"],
    [() => 1, "a function"],
    [{}, "an object with no keys"],
    [{ a: 1, b: 2 }, "an object with the keys a, b"],
    ["fast", '"fast" (string)'],
    [true, "true (boolean)"],
    ["x".repeat(100), `"${"x".repeat(59)}... (string)`],
  ])("describes %j as %s", (value, words) => {
    expect(describeValue(value)).toBe(words);
  });
});
