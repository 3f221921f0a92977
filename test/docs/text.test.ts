/** What the tutorial says beside its programs, and how its programs are found. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { listFiles } from "../../harness/static-analysis/source.ts";
import { ERROR_CATALOGUE } from "../../src/protocols/errors.ts";
import { programsOfText } from "./blocks.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const TUTORIAL = `${ROOT}docs/runtime.md`;

describe("the table of delivery errors", () => {
  const FOLDERS = ["thread", "wire", "pool"].map((folder) => `src/runtime/${folder}`);
  const THROWN = /new EsperError\(\s*"([A-Z_]+)"/g;
  /** Wrong use of the program and faults on purpose: no errors of delivery. */
  const ELSEWHERE = ["CONFIG_INVALID", "USAGE"];

  const [, section = ""] = readFileSync(TUTORIAL, "utf8").split("## Errors of delivery");
  const [table = ""] = section.split("\n## ");
  const rows = table.split("\n").filter((line) => line.startsWith("| `"));
  const listed = rows.flatMap((row) => (row.split("|")[1] ?? "").match(/[A-Z_]{2,}/g) ?? []);

  it("has every code that the runtime throws, once", () => {
    const sources = listFiles(ROOT, FOLDERS, [".ts"]).map((path) =>
      readFileSync(ROOT + path, "utf8"),
    );
    const thrown = sources.flatMap((text) => [...text.matchAll(THROWN)].map(([, code]) => code));
    expect(thrown.length).toBeGreaterThan(30);
    const missing = new Set(thrown.filter((code) => ![...listed, ...ELSEWHERE].includes(code!)));
    expect([...missing]).toEqual([]);
    expect(new Set(listed).size).toBe(listed.length);
  });

  it("has no code that does not exist", () => {
    expect(listed.filter((code) => !Object.hasOwn(ERROR_CATALOGUE, code))).toEqual([]);
  });
});

describe("a document", () => {
  const block = (info: string, ...lines: string[]) =>
    [`\`\`\`${info}`, ...lines, "```", ""].join("\n");

  it("gives its programs with what they print", () => {
    const text =
      block("sh", "ls") + block("ts a/b.ts", "x") + block("ts a/main.ts", "// prints: 1");
    const files = new Map([
      ["b.ts", "x\n"],
      ["main.ts", "// prints: 1\n"],
    ]);
    expect(programsOfText(text)).toEqual([{ name: "a", files, prints: ["1"] }]);
  });

  it.each([
    ["a block without a file", block("ts", "x"), "names no file"],
    ["a file that is there twice", block("ts a/b.ts", "x").repeat(2), "twice"],
    ["a program without a main", block("ts a/b.ts", "x"), "no main.ts"],
    ["a program that prints nothing", block("ts a/main.ts", "x"), "does not say"],
    ["a block that is never closed", "```ts a/main.ts\nx\n", "never closed"],
  ])("%s is refused", (_what, text, why) => {
    expect(() => programsOfText(text)).toThrow(why);
  });
});
