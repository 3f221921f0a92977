/** The measures as a Markdown page; the same measures always give the same text. */
import type { FunctionMeasure } from "./complexity.ts";
import type { FolderMeasure, Measure } from "./measure.ts";

const LISTED_FUNCTIONS = 10;
export const FILE_LINES_MAX = 400;
export const FUNCTION_LINES_MAX = 70;
export const COMPLEXITY_MAX = 15;

const LIMITS =
  `${FILE_LINES_MAX} lines a file, ${FUNCTION_LINES_MAX} lines a function, ` +
  `cognitive complexity ${COMPLEXITY_MAX}`;

const INTRODUCTION = `# Static analysis

Generated; refresh it with \`npm run harness -- static-analysis\`. The limits are enforced by the
tidy test and by Biome: ${LIMITS}.

Method: files are parsed with the TypeScript compiler, types are not resolved. The comment share
is comment lines over lines that are not blank. Quantiles are nearest-rank. Cognitive complexity
follows SonarSource's definition as Biome counts it: one for every break of the linear flow
(\`if\`, \`else\`, \`switch\`, loops, \`catch\`, \`?:\`, each run of one logical operator, labelled
jumps), plus the nesting level for those that nest; a nested function has its own score and begins
one level deeper; recursion is not counted.`;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const rule = head.map((_, column) => (column === 0 ? "---" : "---:"));
  return [head, rule, ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function folderRow(row: FolderMeasure): string[] {
  return [
    row.folder,
    String(row.files),
    String(row.lines),
    `${(row.commentShare * 100).toFixed(1)} %`,
    String(row.linesMedian),
    String(row.linesP90),
    String(row.linesMax),
    String(row.functions),
    String(row.complexityMax),
  ];
}

function functionRow(one: FunctionMeasure): string[] {
  return [`${one.path} \`${one.name}\``, String(one.complexity), String(one.lines)];
}

function byComplexity(a: FunctionMeasure, b: FunctionMeasure): number {
  if (a.complexity !== b.complexity) return b.complexity - a.complexity;
  if (a.path !== b.path) return a.path < b.path ? -1 : 1;
  return a.line - b.line;
}

/** Renders the page. */
export function renderStaticAnalysis(measure: Measure): string {
  const folders = table(
    ["Folder", "Files", "Lines", "Comments", "Median", "p90", "Max", "Functions", "Most complex"],
    [...measure.folders, measure.total].map(folderRow),
  );
  const edges = table(
    ["From -> to", "Imports"],
    [...measure.edges].map(([edge, count]) => [edge, String(count)]),
  );
  const hardest = [...measure.functions].sort(byComplexity).slice(0, LISTED_FUNCTIONS);
  const functions = table(["Function", "Complexity", "Lines"], hardest.map(functionRow));
  return `${INTRODUCTION}

## Folders

${folders}

## Imports between layers

\`protocols <- runtime <- actors <- entry <- config, harness\`; type-only imports are counted too.

${edges}

## Most complex functions

${functions}
`;
}

/**
 * What must not drift unnoticed: headings, column names, which folders exist and which layers
 * import which. Figures and the ranking of functions are left out; they change with every edit.
 */
export function structureOf(page: string): string[] {
  const [lasting = ""] = page.split("## Most complex functions");
  return lasting
    .split("\n")
    .filter((line) => line.startsWith("#") || line.startsWith("|"))
    .map((line) => (line.startsWith("#") ? line : (line.split("|")[1] ?? "").trim()));
}
