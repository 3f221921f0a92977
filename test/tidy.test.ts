/**
 * The style of the house as a test: what review would have to repeat is checked here. Each rule has
 * tests of its own in test/tidy/.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { renderStaticAnalysis, structureOf } from "../harness/static-analysis/document.ts";
import { MEASURED, measureCheckout } from "../harness/static-analysis/measure.ts";
import { listFiles, readSources } from "../harness/static-analysis/source.ts";
import { STATIC_ANALYSIS_PATH } from "../harness/static-analysis/write.ts";
import { bannedViolations } from "./tidy/banned.ts";
import { unusedCodes } from "./tidy/catalogue.ts";
import { importViolations } from "./tidy/import-law.ts";
import { headingViolations, proseViolations } from "./tidy/prose.ts";
import { deadFiles, shapeViolations } from "./tidy/shape.ts";
import { formatViolation, type Violation } from "./tidy/violation.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const DOCUMENTS = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs"];
const BIOME_DEADLINE_MS = 120_000;

const product = readSources(ROOT, MEASURED);
const sources = product.filter((unit) => unit.path.startsWith("src/"));
const codeFiles = listFiles(ROOT, [...MEASURED, "test", "vitest.config.ts"], [".ts", ".mjs"]);
const markdown = listFiles(ROOT, [...DOCUMENTS, "examples", "baselines"], [".md"]);

const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");

/** Fails with one line for each violation. */
function expectNone(violations: readonly Violation[]): void {
  expect(violations.map(formatViolation)).toEqual([]);
}

describe("the sources", () => {
  it("are found at all", () => {
    expect(sources.length).toBeGreaterThan(50);
    expect(markdown).toContain("CHANGELOG.md");
  });

  it("import only what their layer may know", () => {
    expectNone(importViolations(product));
  });

  it("use no banned name or construct outside its home", () => {
    expectNone(sources.flatMap(bannedViolations));
  });

  it("are all used by something", () => {
    expectNone(deadFiles(product));
  });

  it("throw every error code of the catalogue", () => {
    expectNone(unusedCodes(sources));
  });
});

describe("every text of the repository", () => {
  it("is short, narrow and well named", () => {
    expectNone(codeFiles.flatMap((path) => shapeViolations(path, read(path))));
  });

  it("has no left-overs and speaks of the product alone", () => {
    const root = ["package.json", "biome.json", ".npmrc", ".gitignore", ".ci/run"];
    const texts = [...codeFiles, ...markdown, ...root];
    expectNone(texts.flatMap((path) => proseViolations(path, read(path))));
  });

  it("has one first-level heading when it is a Markdown file", () => {
    expectNone(markdown.flatMap((path) => headingViolations(path, read(path))));
  });
});

describe("the gates", () => {
  it(
    "biome finds nothing: format, lint, complexity, function length, import cycles",
    () => {
      const biome = join(ROOT, "node_modules/@biomejs/biome/bin/biome");
      const args = [biome, "ci", "--colors=off", "--max-diagnostics=50", "."];
      const result = spawnSync(process.execPath, args, {
        cwd: ROOT,
        encoding: "utf8",
        timeout: BIOME_DEADLINE_MS,
      });
      expect(result.status, `${result.stdout}${result.stderr}`).toBe(0);
    },
    BIOME_DEADLINE_MS,
  );

  it("docs/static-analysis.md shows the folders and layers of today", () => {
    const today = renderStaticAnalysis(measureCheckout(ROOT));
    expect(
      structureOf(read(STATIC_ANALYSIS_PATH)),
      "refresh it with: npm run harness -- static-analysis",
    ).toEqual(structureOf(today));
  });
});
