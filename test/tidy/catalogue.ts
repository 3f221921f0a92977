/** Every row of the error catalogue is used: a code that nobody throws is a promise unkept. */
import ts from "typescript";
import { lineOf, type SourceUnit, walkTree } from "../../harness/static-analysis/source.ts";
import type { Violation } from "./violation.ts";

/** Where the catalogue lives. */
export const CATALOGUE_PATH = "src/protocols/errors.ts";

/** The string literals of a file, which is how codes are written. */
function literals(unit: SourceUnit): Set<string> {
  const found = new Set<string>();
  walkTree(unit.tree, (node) => {
    if (ts.isStringLiteralLike(node)) found.add(node.text);
  });
  return found;
}

/** The codes that the catalogue's own file declares, with their lines. */
export function catalogueCodes(catalogue: SourceUnit): Map<string, number> {
  const codes = new Map<string, number>();
  walkTree(catalogue.tree, (node) => {
    const inside = ts.findAncestor(
      node,
      (one) => ts.isVariableDeclaration(one) && one.name.getText() === "ERROR_CATALOGUE",
    );
    if (inside === undefined || !ts.isPropertyAssignment(node)) return;
    const name = node.name.getText();
    if (/^[A-Z_]+$/.test(name)) codes.set(name, lineOf(catalogue, node));
  });
  return codes;
}

/** Codes that the product never names outside their own row. */
export function unusedCodes(units: readonly SourceUnit[]): Violation[] {
  const catalogue = units.find((unit) => unit.path === CATALOGUE_PATH);
  if (catalogue === undefined) {
    return [{ path: CATALOGUE_PATH, line: 1, message: "the error catalogue is missing" }];
  }
  // The rows themselves are property names, so the catalogue's own file may count as a user.
  const used = new Set(units.flatMap((unit) => [...literals(unit)]));
  return [...catalogueCodes(catalogue)]
    .filter(([code]) => !used.has(code))
    .map(([code, line]) => ({
      path: CATALOGUE_PATH,
      line,
      message: `${code} is never used: throw it where it belongs, or drop the row`,
    }));
}
