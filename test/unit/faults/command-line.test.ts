import { describe, expect, it } from "vitest";
import { call, cast, protocol } from "../../../src/protocols/protocol.ts";
import { defineActor } from "../../../src/runtime/actor.ts";
import type { TrainContext } from "../../../src/runtime/cli/deps.ts";
import { actor, defineConfig, supervisor } from "../../../src/runtime/topology.ts";
import { CONFIG, type Outcome, SUMMARY, type } from "../cli/console.ts";

const definition = defineActor(
  import.meta.url,
  protocol("work", { run: call<null, null>(), note: cast<null>() }),
  { setup: () => null, receive: { run: () => null, note: () => {} } },
);

const spec = CONFIG.topologies["local-cpu"];
const tree = supervisor({
  children: {
    root: actor(definition, { thread: "main" }),
    bounded: actor(definition, { thread: "small" }),
    free: actor(definition, { thread: "large" }),
  },
});

/** Types the words; `contexts` are those of the runs that were started. */
async function run(
  line: string,
  allowFaults?: boolean,
): Promise<Outcome & { readonly contexts: readonly TrainContext[] }> {
  if (spec === undefined) throw new Error("the configuration has local-cpu");
  const topology = { ...spec, tree, threads: { small: { heapLimitMb: 64 } } };
  const topologies = { "local-cpu": topology };
  const allowed = allowFaults === undefined ? {} : { allowFaults };
  const config = defineConfig({ ...CONFIG, topologies, ...allowed });
  const contexts: TrainContext[] = [];
  const outcome = await type(line.split(" "), {
    loadConfig: async () => ({ config, file: "/c.js", source: "default" }),
    train: async (_request, _observer, _stop, context) => {
      contexts.push(context);
      return SUMMARY;
    },
  });
  return { ...outcome, contexts };
}

describe("--inject", () => {
  it("hands the faults to the run and says so at the start", async () => {
    const line = "--allow-faults --inject crash:free.run@n=3 --inject drop:*@p=0.5";
    const { code, contexts, events } = await run(line);
    expect(code).toBe(0);
    expect(contexts[0]?.faults).toEqual(["crash:free.run@n=3", "drop:*@p=0.5"]);
    expect(events).toContainEqual({
      ...{ kind: "notice", level: "WARNING" },
      message: "faults are being injected: crash:free.run@n=3; drop:*@p=0.5",
    });
  });

  it("needs --allow-faults or a configuration that allows faults", async () => {
    const refused = await run("--inject crash:free");
    expect(refused).toMatchObject({ code: 2, contexts: [] });
    expect(refused.stderr).toContain("--inject needs --allow-faults");
    expect((await run("--inject crash:free", false)).code).toBe(2);
    expect((await run("--inject crash:free", true)).contexts[0]?.faults).toEqual(["crash:free"]);
  });

  it("is not needed for a run to allow faults, and a run that does not has none", async () => {
    expect((await run("--allow-faults")).contexts[0]?.faults).toEqual([]);
    expect((await run("--epochs 3")).contexts[0]?.faults).toBeUndefined();
  });

  it.each([
    ["kil:free", "the kind"],
    ["crash:fre", "did you mean free"],
    ["crash:free.runs", "run, note"],
    ["delay:free.run=1s", "note"],
    ["kill:root", "the process lives in its main thread"],
    ["oom:free", "heapLimitMb is at most 1024"],
  ])("refuses %s before anything starts: %s", async (fault, says) => {
    const { code, contexts, stderr } = await run(`--allow-faults --inject ${fault}`);
    expect({ code, contexts }).toEqual({ code: 2, contexts: [] });
    expect(stderr).toContain("CONFIG_INVALID");
    expect(stderr).toContain(says);
  });

  it("fills the heap of a thread that has a limit", async () => {
    const { contexts } = await run("--allow-faults --inject oom:bounded.run@n=2");
    expect(contexts).toHaveLength(1);
  });

  it("takes at most 64 faults", async () => {
    const line = ["--allow-faults", ...Array.from({ length: 65 }, () => "--inject crash:free")];
    const { code, stderr } = await run(line.join(" "));
    expect(code).toBe(2);
    expect(stderr).toContain("at most 64 times");
  });
});
