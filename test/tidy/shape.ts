/** The shape of files: length, width, names, and whether anything uses them. */
import { basename } from "node:path";
import { FILE_LINES_MAX } from "../../harness/static-analysis/document.ts";
import { listImports } from "../../harness/static-analysis/imports.ts";
import type { SourceUnit } from "../../harness/static-analysis/source.ts";
import type { Violation } from "./violation.ts";

const COLUMNS_MAX = 100;
/** What cannot be broken: a suppression with its reason, an address. */
const ONE_LINE_ONLY = /biome-ignore |https?:\/\/\S{60}/;

/** Files that something outside the import graph starts. */
export const ENTRIES: readonly string[] = [
  "src/index.ts",
  "src/runtime.ts",
  "src/testkit.ts",
  "src/runtime/thread/worker-entry.ts",
  "actors.config.ts",
  "harness.ts",
];

/** Files and lines that are too long, and files with a wrong name. */
export function shapeViolations(path: string, text: string): Violation[] {
  const lines = text.replace(/\n$/, "").split("\n");
  const found: Violation[] = [];
  if (lines.length > FILE_LINES_MAX) {
    const message = `${lines.length} lines; at most ${FILE_LINES_MAX}: split it by concept`;
    found.push({ path, line: FILE_LINES_MAX + 1, message });
  }
  lines.forEach((line, index) => {
    const columns = [...line].length;
    if (columns <= COLUMNS_MAX || ONE_LINE_ONLY.test(line)) return;
    found.push({ path, line: index + 1, message: `${columns} columns; at most ${COLUMNS_MAX}` });
  });
  if (!/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9-]+)*$/.test(basename(path))) {
    found.push({ path, line: 1, message: "file names are kebab-case" });
  }
  return found;
}

/** Files that no entry reaches by imports. */
export function deadFiles(units: readonly SourceUnit[], entries = ENTRIES): Violation[] {
  const byPath = new Map(units.map((unit) => [unit.path, unit]));
  const reached = new Set<string>();
  const waiting = entries.filter((path) => byPath.has(path));
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const unit = byPath.get(path);
    if (unit === undefined || reached.has(path)) continue;
    reached.add(path);
    for (const { target } of listImports(unit)) if (target !== null) waiting.push(target);
  }
  return units
    .filter((unit) => !reached.has(unit.path))
    .map(({ path }) => ({
      path,
      line: 1,
      message: "nothing imports this file: use it or drop it",
    }));
}
