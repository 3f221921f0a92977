import { describe, expect, it } from "vitest";
import { parseSource } from "../../harness/static-analysis/source.ts";
import { CATALOGUE_PATH, catalogueCodes, unusedCodes } from "./catalogue.ts";
import { headingViolations, proseViolations } from "./prose.ts";
import { deadFiles, shapeViolations } from "./shape.ts";
import { formatViolation } from "./violation.ts";

describe("left-overs and foreign words", () => {
  // Put together from halves: this file is itself one of the texts that are checked.
  const marker = "TO" + "DO";
  const folder = `/${"wo"}rk/`;
  const focused = `it.${"on"}ly("x", () => {});`;
  const skipped = `describe.${"sk"}ip("x", () => {});`;

  it.each([
    ["src/a.ts", `const x = 1; // ${marker}: later`],
    ["src/a.ts", `read("${folder}main/x")`],
    ["docs/a.md", `see ${folder}shared`],
    ["docs/a.md", `as decided in ${"iss"}ue #7`],
    ["docs/a.md", `left for the ${"ne"}xt session`],
    ["src/a.ts", "const x = 1; "],
    ["test/a.test.ts", focused],
    ["test/a.test.ts", skipped],
  ])("are found in %s: %s", (path, line) => {
    const found = proseViolations(path, `first line\n${line}\n`);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ path, line: 2 });
  });

  it.each([
    ["src/a.ts", "the framework/ folder of network/paths"],
    ["docs/a.md", "a NATS session is resumed; the farm of threads; a library of blueprints"],
    ["docs/a.md", "todos are not a marker"],
    ["src/a.ts", `test.${"sk"}ip is a word outside tests`],
  ])("are not imagined in %s: %s", (path, line) => {
    expect(proseViolations(path, line)).toEqual([]);
  });
});

describe("headings", () => {
  it("one title at the top is right, and # inside a code block is no title", () => {
    expect(headingViolations("a.md", "# Title\n\n## Part\n\n```sh\n# comment\n```\n")).toEqual([]);
  });

  it("no title, two titles or text before the title are wrong", () => {
    expect(headingViolations("a.md", "## Part\n")).toHaveLength(1);
    expect(headingViolations("a.md", "# One\n\n# Two\n")[0]).toMatchObject({ line: 3 });
    expect(headingViolations("a.md", "text\n\n# Title\n")).toHaveLength(1);
  });
});

describe("the shape of a file", () => {
  it("allows 400 lines of 100 columns and not one more", () => {
    const line = "x".repeat(100);
    expect(shapeViolations("a.ts", `${line}\n`.repeat(400))).toEqual([]);
    expect(shapeViolations("a.ts", `${line}\n`.repeat(401))).toHaveLength(1);
    expect(shapeViolations("a.ts", `y\n${line}x\n`)[0]).toMatchObject({ line: 2 });
  });

  it("lets a suppression keep its reason on one line", () => {
    const why = "the reason is long ".repeat(6);
    expect(shapeViolations("a.ts", `// biome-ignore lint/a/b: ${why}\n`)).toEqual([]);
    expect(shapeViolations("a.ts", `// ${why}\n`)).toHaveLength(1);
  });

  it("counts a character outside the basic plane as one column", () => {
    expect(shapeViolations("a.ts", "\u{1f331}".repeat(100))).toEqual([]);
  });

  it("wants kebab-case names", () => {
    expect(shapeViolations("src/seed-manager.actor.ts", "")).toEqual([]);
    expect(shapeViolations("src/seedManager.ts", "")).toHaveLength(1);
    expect(shapeViolations("src/seed_manager.ts", "")).toHaveLength(1);
  });
});

describe("dead files", () => {
  const files = {
    "src/index.ts": `export { a } from "./a.ts";`,
    "src/a.ts": `new URL("./thread.js", import.meta.url);`,
    "src/thread.ts": `export const t = 1;`,
    "src/island.ts": `import { b } from "./bridge.ts";`,
    "src/bridge.ts": `export const b = 1;`,
  };
  const units = Object.entries(files).map(([path, text]) => parseSource(path, text));

  it("are those that no entry reaches, even when they import each other", () => {
    expect(deadFiles(units).map((one) => one.path)).toEqual(["src/island.ts", "src/bridge.ts"]);
  });
});

describe("the error catalogue", () => {
  const catalogue = parseSource(
    CATALOGUE_PATH,
    `export const ERROR_CATALOGUE = {\n  USED: row("text"),\n  IDLE: row("text"),\n} as const;`,
  );

  it("is read from the declaration alone", () => {
    expect([...catalogueCodes(catalogue)]).toEqual([
      ["USED", 2],
      ["IDLE", 3],
    ]);
  });

  it("may hold no code that nothing throws; a mention in a comment is no use", () => {
    const user = parseSource("src/a.ts", `// IDLE\nthrow new EsperError("USED", "m");`);
    expect(unusedCodes([catalogue, user]).map(formatViolation)).toEqual([
      `${CATALOGUE_PATH}:3 IDLE is never used: throw it where it belongs, or drop the row`,
    ]);
    expect(unusedCodes([user])).toHaveLength(1);
  });
});
