import { describe, expect, it } from "vitest";
import { parseSource } from "../../harness/static-analysis/source.ts";
import { importViolations } from "./import-law.ts";

/** The messages for one file with this text. */
function judge(path: string, text: string): string[] {
  return importViolations([parseSource(path, text)]).map((one) => `${one.line} ${one.message}`);
}

describe("the import law", () => {
  it("lets a layer import itself and what lies below it", () => {
    expect(judge("src/protocols/a.ts", `import { b } from "./b.ts";`)).toEqual([]);
    expect(judge("src/runtime/a.ts", `import { b } from "../protocols/b.ts";`)).toEqual([]);
    expect(judge("src/actors/x/a.ts", `import { b } from "../../runtime/b.ts";`)).toEqual([]);
    expect(judge("src/runtime.ts", `import { b } from "./actors/x/a.actor.ts";`)).toEqual([]);
  });

  it.each([
    ["src/protocols/a.ts", "../runtime/clock.ts", "protocols may not know runtime"],
    ["src/runtime/a.ts", "../actors/x/b.ts", "runtime may not know actors"],
    ["src/runtime/a.ts", "../index.ts", "runtime may not know entry"],
    ["src/actors/x/a.ts", "../../index.ts", "actors may not know entry"],
    ["src/runtime.ts", "../actors.config.ts", "entry may not know config"],
    ["src/runtime/a.ts", "../../harness/lib/b.ts", "runtime may not know harness"],
    ["src/runtime/a.ts", "../../test/fixtures/b.ts", "nothing in src imports tests"],
  ])("refuses that %s imports %s", (path, specifier, message) => {
    const found = judge(path, `\nimport { b } from "${specifier}";`);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(/^2 /);
    expect(found[0]).toContain(message);
  });

  it("sees type-only imports, re-exports, dynamic imports and import types", () => {
    const forms = [
      `import type { B } from "../actors/x/b.ts";`,
      `export { b } from "../actors/x/b.ts";`,
      `const b = await import("../actors/x/b.ts");`,
      `type B = import("../actors/x/b.ts").B;`,
    ];
    for (const form of forms) expect(judge("src/runtime/a.ts", form), form).toHaveLength(1);
  });

  it("does not take words in strings and comments for imports", () => {
    const text = `// import { b } from "../actors/x/b.ts";\nconst s = 'from "node:fs"';`;
    expect(judge("src/runtime/a.ts", text)).toEqual([]);
  });

  it("keeps protocols free of everything but schemas, hashes and the packer", () => {
    expect(judge("src/protocols/a.ts", `import { z } from "zod";`)).toEqual([]);
    expect(judge("src/protocols/a.ts", `import { hash } from "node:crypto";`)).toEqual([]);
    expect(judge("src/protocols/a.ts", `import os from "node:os";`)).toHaveLength(1);
  });

  it("keeps actors out of each other's folders", () => {
    expect(judge("src/actors/x/a.actor.ts", `import { b } from "../y/b.ts";`)).toHaveLength(1);
    expect(judge("src/actors/x/deep/a.ts", `import { b } from "../b.ts";`)).toEqual([]);
  });

  it("keeps the pure parts of an actor pure", () => {
    const pure = "src/actors/x/gate.ts";
    expect(judge(pure, `import { join } from "node:path";`)).toHaveLength(1);
    expect(judge(pure, `import { t } from "../../runtime/thread/client.ts";`)).toHaveLength(1);
    expect(judge("src/actors/x/a.actor.ts", `import { join } from "node:path";`)).toEqual([]);
  });

  it.each([
    ["node:worker_threads", "src/runtime/thread/client.ts"],
    ["node:fs", "src/runtime/durable/disk.ts"],
    ["fs/promises", "src/runtime/durable/disk.ts"],
    ["@tensorflow/tfjs", "src/runtime/device/engine-tfjs.ts"],
    ["nats", "src/runtime/fabric/nats.ts"],
    ["node:timers/promises", "src/runtime/clock.ts"],
    ["commander", "src/runtime/cli/main.ts"],
    ["jiti", "src/runtime/config/load.ts"],
  ])("allows %s only in %s", (specifier, home) => {
    const text = `import { x } from "${specifier}";`;
    expect(judge(home, text)).toEqual([]);
    expect(judge("src/runtime/elsewhere/a.ts", text)).toHaveLength(1);
  });

  it("makes the harness and the configuration use the product by its name", () => {
    expect(judge("harness/lib/a.ts", `import { x } from "esper-runtime";`)).toEqual([]);
    expect(judge("harness/lib/a.ts", `import { x } from "./b.ts";`)).toEqual([]);
    expect(judge("harness/lib/a.ts", `import { x } from "../../src/index.ts";`)).toHaveLength(1);
    expect(judge("actors.config.ts", `import { x } from "./src/index.ts";`)).toHaveLength(1);
  });

  it("wants relative imports spelled with their ending, but not the URLs of modules", () => {
    expect(judge("src/runtime/a.ts", `import { b } from "./b.js";`)).toHaveLength(1);
    expect(judge("src/runtime/a.ts", `import { b } from "./b";`)).toHaveLength(1);
    expect(judge("src/runtime/a.ts", `new URL("./b.js", import.meta.url);`)).toEqual([]);
  });
});
