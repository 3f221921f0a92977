/** How many lines of a file are code, comment or blank. */
import ts from "typescript";
import type { SourceUnit } from "./source.ts";

/** Lines by kind; a line with code and a comment is code. */
export interface LineCounts {
  readonly total: number;
  readonly code: number;
  readonly comment: number;
}

/** Calls `visit` for every token, the end of the file included, in order. */
export function walkTokens(unit: SourceUnit, visit: (token: ts.Node) => void): void {
  const descend = (node: ts.Node): void => {
    if (node.kind >= ts.SyntaxKind.FirstJSDocNode && node.kind <= ts.SyntaxKind.LastJSDocNode) {
      return;
    }
    const children = node.getChildren(unit.tree);
    if (children.length === 0) visit(node);
    else for (const child of children) descend(child);
  };
  descend(unit.tree);
}

function addLines(lines: Set<number>, unit: SourceUnit, start: number, end: number): void {
  const first = unit.tree.getLineAndCharacterOfPosition(start).line;
  const last = unit.tree.getLineAndCharacterOfPosition(end).line;
  for (let line = first; line <= last; line++) lines.add(line);
}

/** The comments that stand before one token, as ranges of the text. */
export function commentsBefore(unit: SourceUnit, token: ts.Node): readonly ts.CommentRange[] {
  const full = token.getFullStart();
  const leading = ts.getLeadingCommentRanges(unit.text, full) ?? [];
  const trailing = ts.getTrailingCommentRanges(unit.text, full) ?? [];
  return [...trailing, ...leading];
}

/** Counts the lines of one file. */
export function countLines(unit: SourceUnit): LineCounts {
  const code = new Set<number>();
  const comment = new Set<number>();
  walkTokens(unit, (token) => {
    for (const range of commentsBefore(unit, token)) addLines(comment, unit, range.pos, range.end);
    if (token.getEnd() > token.getStart(unit.tree)) {
      addLines(code, unit, token.getStart(unit.tree), token.getEnd());
    }
  });
  const text = unit.text.endsWith("\n") ? unit.text.slice(0, -1) : unit.text;
  const commentOnly = [...comment].filter((line) => !code.has(line));
  return { total: text.split("\n").length, code: code.size, comment: commentOnly.length };
}
