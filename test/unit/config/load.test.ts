/** Real configuration files, good and bad, through the loader. */
import { copyFile, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import { loadConfig } from "../../../src/runtime/config/load.ts";

const folder = fileURLToPath(new URL("../../corpus/config/files/", import.meta.url));
const apiUrl = new URL("./api.ts", import.meta.url).href;
const files = { stat: (path: string) => stat(path), list: (path: string) => readdir(path) };

function load(file: string | null, workingDirectory = folder) {
  return loadConfig(file, { files, workingDirectory, apiUrl, defaultFile: "good.js" });
}

async function refusal(file: string): Promise<EsperError> {
  const error = await load(file).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error instanceof EsperError) return error;
  throw new Error(`${file} was accepted or failed without a code: ${String(error)}`);
}

describe("a configuration", () => {
  test.each(["good.ts", "good.js", "good.mjs", "imports-neighbour.ts"])(
    "%s is loaded",
    async (file) => {
      const loaded = await load(file);
      expect(loaded).toMatchObject({ file: resolve(folder, file), source: "flag" });
      expect(Object.keys(loaded.config.topologies)).toEqual(["local-cpu"]);
      const tree = loaded.config.topologies["local-cpu"]?.tree;
      expect(tree).toMatchObject({
        kind: "supervisor",
        strategy: "one_for_one",
        children: {
          one: { kind: "actor", thread: "a", definition: { protocol: { name: "one" } } },
        },
      });
    },
  );

  test("without a name is the default", async () => {
    expect(await load(null)).toMatchObject({ source: "default", file: resolve(folder, "good.js") });
  });

  test("gets the product's own copy of the package, so definitions are the same", async () => {
    const loaded = await load("good.ts");
    const child = loaded.config.topologies["local-cpu"]?.tree.children["one"];
    if (child?.kind !== "actor") throw new Error("the tree lost its actor");
    expect(child.definition.module).toBe(apiUrl);
    expect(child.config({} as never)).toEqual({});
  });
});

describe("a bad configuration", () => {
  test.each([
    ["no-default.ts", "CONFIG_INVALID", ["no default export", "export default defineConfig"]],
    ["default-is-text.ts", "CONFIG_INVALID", ["no default export"]],
    ["throws.ts", "CONFIG_INVALID", ["cannot be loaded", "the licence server is away"]],
    ["missing-import.ts", "CONFIG_INVALID", ["cannot be loaded", "not-there.ts"]],
    [
      "unknown-key.ts",
      "CONFIG_UNKNOWN_KEY",
      ["runsDirectory: unknown key; did you mean runDirectory?"],
    ],
    [
      "unknown-topology-key.ts",
      "CONFIG_UNKNOWN_KEY",
      ["topologies.local-cpu.fabrik: unknown key; did you mean fabric?"],
    ],
    ["unknown-default.ts", "TOPOLOGY_UNKNOWN", ["did you mean local-cpu?", "There are: local-cpu"]],
    [
      "duplicate-actor.ts",
      "CONFIG_INVALID",
      [
        "topologies.local-cpu.tree.children.group.children.one: the actor one is already at",
        "topologies.local-cpu.tree.children.one",
      ],
    ],
    [
      "cycle.ts",
      "CONFIG_INVALID",
      ["topologies.local-cpu.tree.children.again: this supervisor is the same object"],
    ],
    [
      "empty-supervisor.ts",
      "CONFIG_INVALID",
      ["topologies.local-cpu.tree: this supervisor has no children"],
    ],
    ["config.json", "CONFIG_INVALID", ['ends in ".json"', ".ts, .mts, .js, .mjs"]],
    ["config.yaml", "CONFIG_INVALID", ['ends in ".yaml"']],
    ["good.tss", "CONFIG_INVALID", ['ends in ".tss"']],
    ["godo.ts", "CONFIG_INVALID", ["cannot be read", "did you mean good.ts?"]],
  ])("%s is refused with %s", async (file, code, says) => {
    const error = await refusal(file);
    expect(error.code).toBe(code);
    expect(error.message).toContain(resolve(folder, file).slice(0, folder.length));
    for (const part of says) expect(error.message).toContain(part);
  });

  test("a syntax error names the file", async () => {
    const temporary = await mkdtemp(join(tmpdir(), "esper-config-"));
    try {
      const broken = join(temporary, "broken.ts");
      await copyFile(join(folder, "syntax-error.ts.txt"), broken);
      const error = await refusal(broken);
      expect(error.code).toBe("CONFIG_INVALID");
      expect(error.message).toContain(`${broken}: the file cannot be loaded`);
      expect(error.message).toMatch(/broken\.ts:3:\d+/);
    } finally {
      await rm(temporary, { recursive: true });
    }
  });
});
