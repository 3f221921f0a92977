/**
 * The sources of a checkout as parsed trees: the one input of the static analysis and of the tidy
 * test. Reads files and nothing else; types are never resolved, so no build is needed.
 */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, sep } from "node:path";
import ts from "typescript";

/** One TypeScript file: its path relative to the root (with "/"), its text and its tree. */
export interface SourceUnit {
  readonly path: string;
  readonly text: string;
  readonly tree: ts.SourceFile;
}

/** Parses one file given as text; a file with syntax errors still gives a tree. */
export function parseSource(path: string, text: string): SourceUnit {
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true, ts.ScriptKind.TS);
  return { path, text, tree };
}

/** Every file below `entries` (files or folders) with one of the endings, sorted by path. */
export function listFiles(
  root: string,
  entries: readonly string[],
  endings: readonly string[],
): string[] {
  const found = entries.flatMap((entry) => {
    const absolute = join(root, entry);
    if (!existsSync(absolute)) return [];
    if (statSync(absolute).isFile()) return [entry];
    return readdirSync(absolute, { recursive: true, encoding: "utf8" })
      .map((name) => `${entry}/${name.split(sep).join("/")}`)
      .filter((path) => statSync(join(root, path)).isFile());
  });
  return found.filter((path) => endings.some((ending) => path.endsWith(ending))).sort();
}

/** Parses every TypeScript file below `entries`. */
export function readSources(root: string, entries: readonly string[]): SourceUnit[] {
  return listFiles(root, entries, [".ts"]).map((path) =>
    parseSource(path, readFileSync(join(root, path), "utf8")),
  );
}

/** Calls `visit` for every node, parents first. */
export function walkTree(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => walkTree(child, visit));
}

/** The line of a node's first token, from 1. */
export function lineOf(unit: SourceUnit, node: ts.Node): number {
  return unit.tree.getLineAndCharacterOfPosition(node.getStart(unit.tree)).line + 1;
}
