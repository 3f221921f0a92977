/** Who imports whom, by file and by layer. */
import { posix } from "node:path";
import ts from "typescript";
import { lineOf, type SourceUnit, walkTree } from "./source.ts";

/** One import, re-export, dynamic import, `import("...")` type, or module named by its URL. */
export interface ImportEdge {
  readonly from: string;
  /** What is written between the quotes. */
  readonly specifier: string;
  /** The imported file relative to the root; null for packages and built-in modules. */
  readonly target: string | null;
  readonly typeOnly: boolean;
  /** True for `new URL("./x.js", import.meta.url)`: the file is used, but not imported. */
  readonly byUrl: boolean;
  readonly line: number;
}

/** The layers, lowest first; a layer may import itself and those before it. */
export const LAYERS = ["protocols", "runtime", "actors", "entry", "config", "harness"] as const;
export type Layer = (typeof LAYERS)[number];

/** The layer of a file; null for files outside the product, such as tests. */
export function layerOf(path: string): Layer | null {
  if (path.startsWith("harness/") || path === "harness.ts") return "harness";
  if (path === "actors.config.ts") return "config";
  if (!path.startsWith("src/")) return null;
  const folder = path.split("/")[1];
  const layer = LAYERS.find((name) => name === folder);
  return layer ?? "entry";
}

function isTypeOnly(node: ts.ImportDeclaration | ts.ExportDeclaration): boolean {
  if (ts.isExportDeclaration(node)) return node.isTypeOnly;
  const clause = node.importClause;
  if (clause === undefined) return false;
  if (clause.isTypeOnly) return true;
  const named = clause.namedBindings;
  return (
    clause.name === undefined &&
    named !== undefined &&
    ts.isNamedImports(named) &&
    named.elements.length > 0 &&
    named.elements.every((element) => element.isTypeOnly)
  );
}

/** `new URL("./x.js", import.meta.url)`: how a worker thread is told its file. */
function isModuleUrl(node: ts.Node): node is ts.NewExpression {
  return (
    ts.isNewExpression(node) &&
    node.expression.getText() === "URL" &&
    node.arguments?.[1]?.getText() === "import.meta.url"
  );
}

function readEdge(node: ts.Node): { literal: ts.Node | undefined; typeOnly: boolean } | null {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) {
    return { literal: node.moduleSpecifier, typeOnly: isTypeOnly(node) };
  }
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    return { literal: node.arguments[0], typeOnly: false };
  }
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
    return { literal: node.argument.literal, typeOnly: true };
  }
  if (isModuleUrl(node)) return { literal: node.arguments?.[0], typeOnly: false };
  return null;
}

function resolveTarget(from: string, specifier: string): string | null {
  if (specifier === "esper-runtime") return "src/index.ts";
  if (!specifier.startsWith(".")) return null;
  const path = posix.join(posix.dirname(from), specifier);
  return path.replace(/\.js$/, ".ts");
}

/** Every import of one file, in the order written. */
export function listImports(unit: SourceUnit): ImportEdge[] {
  const edges: ImportEdge[] = [];
  walkTree(unit.tree, (node) => {
    const edge = readEdge(node);
    if (edge?.literal === undefined || !ts.isStringLiteralLike(edge.literal)) return;
    const specifier = edge.literal.text;
    edges.push({
      from: unit.path,
      specifier,
      target: resolveTarget(unit.path, specifier),
      typeOnly: edge.typeOnly,
      byUrl: ts.isNewExpression(node),
      line: lineOf(unit, node),
    });
  });
  return edges;
}
