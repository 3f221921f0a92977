import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { measureFunctions } from "../../../harness/static-analysis/complexity.ts";
import { structureOf } from "../../../harness/static-analysis/document.ts";
import { layerOf, listImports } from "../../../harness/static-analysis/imports.ts";
import { countLines } from "../../../harness/static-analysis/lines.ts";
import { measureUnits } from "../../../harness/static-analysis/measure.ts";
import { parseSource } from "../../../harness/static-analysis/source.ts";
import { writeStaticAnalysis } from "../../../harness/static-analysis/write.ts";

const complexities = (text: string): (string | number)[][] =>
  measureFunctions(parseSource("a.ts", text)).map((one) => [one.name, one.complexity]);

describe("cognitive complexity", () => {
  // The figures are those Biome 2.5 reports for the same text with its limit set to 1.
  it("agrees with Biome on a function of every structure", () => {
    const text = `
function outer(a: number, b: number, c: boolean) {
  const inner = (x: number) => { if (x) { return 1; } return 2; };
  if (a && b || c) { for (;;) { if (a) break; } } else if (b) { inner(1); } else { inner(2); }
  const q = a ? b : c;
  switch (a) { case 1: break; default: inner(3); }
  try { inner(1); } catch { if (a) inner(2); }
  return q ?? outer(1, 2, false);
}`;
    expect(complexities(text)).toEqual([
      ["outer", 16],
      ["inner", 2],
    ]);
  });

  it("agrees with Biome on nested functions, methods and labels", () => {
    const text = `
const factory = () => ({
  m() { if (1) { return () => { if (2) return 1; return 2; }; } return 1; },
  n() { while (true) { if (3) continue; } },
});
class K { x(a: boolean) { lab: for (;;) { for (;;) { if (a) continue lab; } } } }`;
    expect(complexities(text)).toEqual([
      ["factory", 0],
      ["m", 2],
      ["(anonymous)", 4],
      ["n", 5],
      ["K.x", 7],
    ]);
  });

  it("counts a run of one logical operator once", () => {
    expect(complexities("const f = () => a && b && c && d;")).toEqual([["f", 1]]);
    expect(complexities("const f = () => a && b || c && d;")).toEqual([["f", 3]]);
  });

  it("gives every function its line and its length, and skips signatures without a body", () => {
    const text = "\ninterface I { f(): void }\nfunction g() {\n  return 1;\n}\n";
    const found = measureFunctions(parseSource("src/a.ts", text));
    expect(found).toEqual([{ path: "src/a.ts", name: "g", line: 3, lines: 3, complexity: 0 }]);
  });
});

describe("line counts", () => {
  it("tell code, comment and blank apart, and take a mixed line for code", () => {
    const text = [
      "/** Header",
      " *",
      " * more. */",
      "",
      "const a = 1; // mixed",
      "// only",
      "const s = `",
      "// inside a template",
      "`;",
      "",
      "// at the end",
      "",
    ].join("\n");
    expect(countLines(parseSource("a.ts", text))).toEqual({ total: 11, code: 4, comment: 5 });
  });

  it("do not take a URL in a string for a comment", () => {
    const counts = countLines(parseSource("a.ts", 'const u = "https://x.y/z";\n'));
    expect(counts).toEqual({ total: 1, code: 1, comment: 0 });
  });
});

describe("imports", () => {
  it("are resolved to files of the checkout, the package's own name included", () => {
    const text = `
import { a } from "../b.ts";
import type { T } from "zod";
import { type U } from "./u.ts";
import "esper-runtime";
new URL("./worker.js", import.meta.url);`;
    const edges = listImports(parseSource("src/x/a.ts", text));
    expect(
      edges.map(({ target, typeOnly, byUrl, line }) => [target, typeOnly, byUrl, line]),
    ).toEqual([
      ["src/b.ts", false, false, 2],
      [null, true, false, 3],
      ["src/x/u.ts", true, false, 4],
      ["src/index.ts", false, false, 5],
      ["src/x/worker.ts", false, true, 6],
    ]);
  });

  it("belong to the layer of the folder", () => {
    const layers = ["src/protocols/a.ts", "src/index.ts", "harness.ts", "test/a.ts"].map(layerOf);
    expect(layers).toEqual(["protocols", "entry", "harness", null]);
  });
});

describe("the measure", () => {
  it("sums folders and counts imports between different layers", () => {
    const measure = measureUnits([
      parseSource("src/protocols/a.ts", "// one\nexport const a = 1;\n"),
      parseSource(
        "src/runtime/b.ts",
        'import { a } from "../protocols/a.ts";\nuse(a);\n\nuse(a);\n',
      ),
      parseSource("src/runtime/c.ts", 'import { b } from "./b.ts";\n'),
    ]);
    expect([...measure.edges]).toEqual([["runtime -> protocols", 1]]);
    expect(measure.folders.map(({ folder, files, lines }) => [folder, files, lines])).toEqual([
      ["src/protocols", 1, 2],
      ["src/runtime", 2, 5],
    ]);
    expect(measure.folders[0]?.commentShare).toBe(0.5);
    expect(measure.total).toMatchObject({ files: 3, lines: 7, linesMedian: 2, linesMax: 4 });
  });
});

describe("the page", () => {
  const root = mkdtempSync(join(tmpdir(), "esper-analysis-"));
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it("is written below docs/, and its structure ignores figures but not folders", async () => {
    mkdirSync(join(root, "src/runtime"), { recursive: true });
    writeFileSync(join(root, "src/runtime/a.ts"), "export const a = () => (b ? 1 : 2);\n");
    const page = await writeStaticAnalysis(root);
    expect(readFileSync(join(root, "docs/static-analysis.md"), "utf8")).toBe(page);
    expect(page).toContain("| src/runtime | 1 | 1 | 0.0 % | 1 | 1 | 1 | 1 | 1 |");
    expect(page).toContain("| src/runtime/a.ts `a` | 1 | 1 |");

    writeFileSync(join(root, "src/runtime/a.ts"), "export const a = 1;\n\n// longer\n");
    const longer = await writeStaticAnalysis(root);
    expect(longer).not.toBe(page);
    expect(structureOf(longer)).toEqual(structureOf(page));

    mkdirSync(join(root, "src/actors"));
    writeFileSync(join(root, "src/actors/b.ts"), 'import { a } from "../runtime/a.ts";\n');
    expect(structureOf(await writeStaticAnalysis(root))).toEqual([
      ...["# Static analysis", "## Folders", "Folder", "---", "src/actors", "src/runtime", "all"],
      ...["## Imports between layers", "From -> to", "---", "actors -> runtime"],
    ]);
  });
});
