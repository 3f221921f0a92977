/** Every bad command line of the corpus is refused with its code, its words, and exit code 2. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { invariant } from "../../../src/protocols/errors.ts";
import { protocol } from "../../../src/protocols/protocol.ts";
import { defineActor } from "../../../src/runtime/actor.ts";
import { actor, defineConfig, supervisor } from "../../../src/runtime/topology.ts";
import { CONFIG, type, words } from "./console.ts";

interface Refusal {
  readonly line: string;
  readonly code: string;
  readonly says: readonly string[];
}

const corpus: Refusal[] = JSON.parse(
  readFileSync(new URL("../../corpus/config/command-lines.json", import.meta.url), "utf8"),
);

describe("a bad command line", () => {
  test("the corpus holds at least 60 different ones", () => {
    expect(new Set(corpus.map(({ line }) => line)).size).toBeGreaterThanOrEqual(60);
  });

  test.each(corpus)("$line", async ({ line, code, says }) => {
    const outcome = await type(words(line));
    expect(outcome.stderr).toMatch(new RegExp(`^error ${code}: `));
    for (const part of says) expect(outcome.stderr).toContain(part);
    expect(outcome.code).toBe(2);
    expect(outcome.requests).toEqual([]);
    expect(outcome.asked).toEqual([]);
  });

  test("is told once, on stderr; stdout stays empty", async () => {
    const outcome = await type(["--epoch", "3"]);
    expect(outcome.stdout).toBe("");
    expect(outcome.stderr).toBe("error USAGE: unknown flag --epoch; did you mean --epochs?\n");
  });

  test("with --json is also one JSON line on stdout, even when parsing failed", async () => {
    const outcome = await type(["--json", "--epochs", "x"]);
    expect(outcome.code).toBe(2);
    expect(outcome.stdout.split("\n")).toHaveLength(2);
    expect(JSON.parse(outcome.stdout)).toEqual({
      kind: "error",
      code: "USAGE",
      message: '--epochs: given "x"; allowed: a whole number from 1 to 1000000',
      details: {
        flag: "--epochs",
        given: "x",
        allowed: "a whole number from 1 to 1000000",
      },
    });
  });
});

describe("a flag without its value", () => {
  test.each(["--resume", "--topology", "--runs", "--config", "--data", "--labels"])(
    "%s does not take the next flag for it",
    async (flag) => {
      const outcome = await type([flag, "--json"]);
      expect(outcome.stderr).toMatch(
        new RegExp(`^error USAGE: ${flag}: given "--json"; allowed: `),
      );
      expect(outcome.stderr).toContain("needs a value before the next flag");
      expect(outcome.code).toBe(2);
      expect(outcome.requests).toEqual([]);
    },
  );

  test("a column may be named like a flag", async () => {
    const outcome = await type(["--data", "a.csv", "--target", "--json"]);
    expect(outcome.stderr).toBe("");
    expect(outcome.requests[0]).toMatchObject({ data: { target: "--json" } });
  });
});

describe("a fault on an actor of the main thread", () => {
  const root = actor(
    defineActor(import.meta.url, protocol("weatherlight", {}), {
      config: z.strictObject({}),
      setup: () => ({}),
      receive: {},
    }),
    { thread: "main" },
  );
  const spec = CONFIG.topologies["local-cpu"];
  invariant(spec !== undefined, "the configuration has local-cpu");
  const tree = supervisor({ children: { weatherlight: root } });
  const config = defineConfig({ ...CONFIG, topologies: { "local-cpu": { ...spec, tree } } });
  const loadConfig = async () => ({ config, file: "/c.js", source: "default" }) as const;

  test("a kill is refused before anything starts, because it would end the whole run", async () => {
    const outcome = await type(words("--fault kill:weatherlight@1s"), { loadConfig });
    expect(outcome.stderr).toBe(
      "error USAGE: --fault kill:weatherlight: weatherlight runs on the main thread, which" +
        " " +
        "cannot be killed alone; allowed: crash:weatherlight, or kill another actor\n",
    );
    expect(outcome.code).toBe(2);
    expect(outcome.requests).toEqual([]);
  });

  test("a crash is allowed", async () => {
    const outcome = await type(words("--fault crash:weatherlight@1s"), { loadConfig });
    expect(outcome.stderr).toBe("");
    expect(outcome.requests).toHaveLength(1);
  });
});
