/**
 * Cognitive complexity (G. Ann Campbell, "Cognitive Complexity", SonarSource 2018) of every
 * function, counted the way Biome counts it, so that the figure here is the figure of the gate: a
 * nested function is scored on its own but starts one nesting level below its place, and recursion
 * is not counted.
 */
import ts from "typescript";
import { lineOf, type SourceUnit } from "./source.ts";

/** One function with a body. */
export interface FunctionMeasure {
  readonly path: string;
  /** "name", "Class.name", or "(anonymous)". */
  readonly name: string;
  readonly line: number;
  readonly lines: number;
  readonly complexity: number;
}

/** The running score of the function being walked. */
interface Score {
  total: number;
}

const LOGICAL: ReadonlySet<ts.SyntaxKind> = new Set([
  ts.SyntaxKind.AmpersandAmpersandToken,
  ts.SyntaxKind.BarBarToken,
  ts.SyntaxKind.QuestionQuestionToken,
]);

type FunctionWithBody = ts.FunctionLikeDeclaration & { readonly body: ts.Node };

function isFunctionWithBody(node: ts.Node): node is FunctionWithBody {
  return ts.isFunctionLike(node) && "body" in node && node.body !== undefined;
}

/** Structures that add one plus their depth, and one level for what they hold. */
function isNesting(node: ts.Node): boolean {
  return (
    ts.isIterationStatement(node, false) ||
    ts.isSwitchStatement(node) ||
    ts.isCatchClause(node) ||
    ts.isConditionalExpression(node)
  );
}

/** One for each run of the same operator: `a && b && c` is one, `a && b || c` is two. */
function startsLogicalRun(node: ts.Node): boolean {
  if (!ts.isBinaryExpression(node) || !LOGICAL.has(node.operatorToken.kind)) return false;
  const parent = node.parent;
  return !(ts.isBinaryExpression(parent) && parent.operatorToken.kind === node.operatorToken.kind);
}

function isLabelledJump(node: ts.Node): boolean {
  return ts.isBreakOrContinueStatement(node) && node.label !== undefined;
}

function nameOf(node: FunctionWithBody): string {
  const own = node.name?.getText();
  if (own !== undefined) {
    const owner = ts.isClassLike(node.parent) ? node.parent.name?.text : undefined;
    return owner === undefined ? own : `${owner}.${own}`;
  }
  if (ts.isConstructorDeclaration(node)) return `${node.parent.name?.text ?? ""}.constructor`;
  const parent = node.parent;
  const named = ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent);
  return named ? parent.name.getText() : "(anonymous)";
}

function lineCount(unit: SourceUnit, node: ts.Node): number {
  const end = unit.tree.getLineAndCharacterOfPosition(node.getEnd()).line + 1;
  return end - lineOf(unit, node) + 1;
}

/** Measures every function of a file, outer ones first. */
export function measureFunctions(unit: SourceUnit): FunctionMeasure[] {
  const found: { node: FunctionWithBody; score: Score }[] = [];

  function walkFunction(node: FunctionWithBody, nesting: number): void {
    const score = { total: 0 };
    found.push({ node, score });
    ts.forEachChild(node, (child) => walk(child, nesting, score));
  }

  function walkIf(node: ts.IfStatement, nesting: number, score: Score, elseIf: boolean): void {
    score.total += elseIf ? 1 : 1 + nesting;
    walk(node.expression, nesting, score);
    walk(node.thenStatement, nesting + 1, score);
    const otherwise = node.elseStatement;
    if (otherwise === undefined) return;
    if (ts.isIfStatement(otherwise)) {
      walkIf(otherwise, nesting, score, true);
      return;
    }
    score.total += 1;
    walk(otherwise, nesting + 1, score);
  }

  function walk(node: ts.Node, nesting: number, score: Score | null): void {
    if (isFunctionWithBody(node)) {
      walkFunction(node, score === null ? 0 : nesting + 1);
      return;
    }
    if (score === null) {
      ts.forEachChild(node, (child) => walk(child, 0, null));
      return;
    }
    if (ts.isIfStatement(node)) {
      walkIf(node, nesting, score, false);
      return;
    }
    if (startsLogicalRun(node) || isLabelledJump(node)) score.total += 1;
    const deeper = isNesting(node);
    if (deeper) score.total += 1 + nesting;
    ts.forEachChild(node, (child) => walk(child, deeper ? nesting + 1 : nesting, score));
  }

  walk(unit.tree, 0, null);
  return found.map(({ node, score }) => ({
    path: unit.path,
    name: nameOf(node),
    line: lineOf(unit, node),
    lines: lineCount(unit, node),
    complexity: score.total,
  }));
}
