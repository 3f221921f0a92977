/**
 * Names and constructs that have one home or none. They are looked for in the syntax tree, so a
 * word in a comment or a string is never mistaken for code.
 */
import ts from "typescript";
import { lineOf, type SourceUnit, walkTree } from "../../harness/static-analysis/source.ts";
import type { Violation } from "./violation.ts";

/** A global, or a member of one, that only its home may use. */
interface BannedName {
  readonly names: readonly string[];
  readonly home: RegExp;
  readonly instead: string;
}

const NOWHERE = /^$/;

const BANNED_NAMES: readonly BannedName[] = [
  {
    names: ["Date.now", "performance.now", "performance.timeOrigin", "process.hrtime"],
    home: /^src\/runtime\/clock\.ts$/,
    instead: "use clock.nowMs() or clock.monotonicMs()",
  },
  {
    names: ["setTimeout", "setInterval"],
    home: /^src\/runtime\/clock\.ts$/,
    instead: "use clock.after()",
  },
  { names: ["Math.random"], home: NOWHERE, instead: "use createRandom(seed, stream)" },
  {
    names: ["process.exit", "process.abort", "process.exitCode"],
    // Ending the process is what the injected fault of that name does.
    home: /^src\/(runtime|runtime\/faults\/strike)\.ts$/,
    instead: "return an exit code to src/runtime.ts, or throw an EsperError",
  },
  {
    names: ["process.env"],
    home: /^src\/runtime\/config\/environment\.ts$/,
    instead: "take an Environment as a parameter (src/runtime/config/environment.ts)",
  },
  {
    names: ["process.stdout", "process.stderr", "console"],
    home: /^src\/runtime(\/cli\/.+)?\.ts$/,
    instead: "report through telemetry or the run observer; only src/runtime/cli writes",
  },
];

/** The global objects above: taking them apart or aliasing them would hide a use. */
const GUARDED_GLOBALS: ReadonlySet<string> = new Set(["process", "performance"]);

/** "a.b" for `a.b`, `a["b"]` and `globalThis.a.b`; null for anything else. */
function dottedName(node: ts.Node): string | null {
  if (ts.isIdentifier(node)) return node.text;
  const member = memberName(node);
  if (member === null) return null;
  const owner = dottedName(member.owner);
  if (owner === null) return null;
  return owner === "globalThis" ? member.name : `${owner}.${member.name}`;
}

function memberName(node: ts.Node): { owner: ts.Node; name: string } | null {
  if (ts.isPropertyAccessExpression(node)) return { owner: node.expression, name: node.name.text };
  if (ts.isElementAccessExpression(node) && ts.isStringLiteralLike(node.argumentExpression)) {
    return { owner: node.expression, name: node.argumentExpression.text };
  }
  return null;
}

/** True for an identifier used as a value, not as the name of a property, parameter or key. */
function isValueUse(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node;
  if (ts.isElementAccessExpression(parent)) return true;
  const named = parent as ts.Node & { name?: ts.Node; propertyName?: ts.Node };
  if (named.name === node) return ts.isShorthandPropertyAssignment(parent);
  if (named.propertyName === node) return false;
  return !ts.isTypeNode(parent) && !ts.isQualifiedName(parent);
}

/** Names this file declares itself; they hide the globals of the same name. */
function declaredNames(unit: SourceUnit): ReadonlySet<string> {
  const names = new Set<string>();
  walkTree(unit.tree, (node) => {
    const declares =
      ts.isVariableDeclaration(node) ||
      ts.isParameter(node) ||
      ts.isFunctionDeclaration(node) ||
      ts.isImportSpecifier(node) ||
      ts.isBindingElement(node);
    if (declares && node.name !== undefined && ts.isIdentifier(node.name))
      names.add(node.name.text);
  });
  return names;
}

/** True where the object itself is passed on; as an EventEmitter it shows no banned member. */
function isWholeValue(node: ts.Node): boolean {
  const { parent } = node;
  if (memberName(parent) !== null || ts.isTypeOfExpression(parent)) return false;
  return !(ts.isVariableDeclaration(parent) && parent.type?.getText() === "NodeJS.EventEmitter");
}

function bannedName(node: ts.Node, path: string, own: ReadonlySet<string>): string | null {
  const name = dottedName(node);
  if (name === null || own.has(name.split(".")[0] ?? "")) return null;
  if (ts.isIdentifier(node) && !isValueUse(node)) return null;
  const rule = BANNED_NAMES.find(({ names }) => names.includes(name));
  if (rule !== undefined) return rule.home.test(path) ? null : `${name}: ${rule.instead}`;
  const aliased = GUARDED_GLOBALS.has(name) && isWholeValue(node);
  if (!aliased || /^src\/runtime(\/cli\/.+)?\.ts$/.test(path)) return null;
  return `${name} as a value: name the member you need, so that its home can be checked`;
}

/** `new Date()` reads the wall clock; `new Date(ms)` does not. */
function readsDate(node: ts.Node): boolean {
  const isDate = (expression: ts.Expression) =>
    ts.isIdentifier(expression) && expression.text === "Date";
  if (ts.isNewExpression(node)) return isDate(node.expression) && !node.arguments?.length;
  return ts.isCallExpression(node) && isDate(node.expression);
}

/** True when the text's shape is checked at once, or the result is typed `unknown`. */
function isCheckedParse(call: ts.CallExpression): boolean {
  const { parent } = call;
  if (ts.isCallExpression(parent)) return /\.(parse|safeParse)$/.test(parent.expression.getText());
  if (ts.isVariableDeclaration(parent)) return parent.type?.kind === ts.SyntaxKind.UnknownKeyword;
  if (ts.isArrowFunction(parent)) return parent.type?.kind === ts.SyntaxKind.UnknownKeyword;
  if (!ts.isReturnStatement(parent)) return false;
  const owner = ts.findAncestor(parent, ts.isFunctionLike);
  return owner?.type?.kind === ts.SyntaxKind.UnknownKeyword;
}

type Construct = (node: ts.Node) => string | null;

const says =
  (holds: (node: ts.Node) => boolean, message: string): Construct =>
  (node) =>
    holds(node) ? message : null;

function isUnknownCast(node: ts.Node): boolean {
  if (!ts.isAsExpression(node)) return false;
  const inner = ts.isParenthesizedExpression(node.expression)
    ? node.expression.expression
    : node.expression;
  return ts.isAsExpression(inner) && inner.type.kind === ts.SyntaxKind.UnknownKeyword;
}

function isDefaultExport(node: ts.Node): boolean {
  if (ts.isExportAssignment(node)) return true;
  if (ts.isExportSpecifier(node)) return node.name.text === "default";
  return (
    ts.canHaveModifiers(node) &&
    (ts.getModifiers(node)?.some((one) => one.kind === ts.SyntaxKind.DefaultKeyword) ?? false)
  );
}

const CONSTRUCTS: readonly Construct[] = [
  says(readsDate, "new Date() reads the clock: use clock.nowMs()"),
  says(
    (node) =>
      ts.isCallExpression(node) &&
      node.expression.getText() === "JSON.parse" &&
      !isCheckedParse(node),
    "JSON.parse: check the result with a schema, as in schema.parse(JSON.parse(text)), " +
      "or give it the type unknown",
  ),
  says(isUnknownCast, "as unknown as: the types disagree; mend one of them or parse the value"),
  says(ts.isNonNullExpression, "non-null !: test for the missing case, or use invariant()"),
  says(isDefaultExport, "default export: export a name"),
  says(ts.isEnumDeclaration, "enum: use an `as const` object and its union"),
  says(ts.isModuleDeclaration, "namespace: a file is a namespace"),
  says(ts.isDecorator, "decorator: call a function"),
  says(
    (node) =>
      ts.isParameter(node) &&
      ts.isConstructorDeclaration(node.parent) &&
      ts.isParameterPropertyDeclaration(node, node.parent),
    "parameter property: declare the field and assign it",
  ),
  says(
    (node) => ts.isCatchClause(node) && node.block.statements.length === 0,
    "empty catch: handle the failure, or rethrow what you did not expect",
  ),
  says(
    (node) => ts.isEmptyStatement(node) && !ts.isIterationStatement(node.parent, false),
    "empty statement: remove it",
  ),
];

/** `any` must be explained: by a suppression with its reason on the line above. */
function unexplainedAny(unit: SourceUnit, node: ts.Node): string | null {
  if (node.kind !== ts.SyntaxKind.AnyKeyword) return null;
  const above = unit.text.split("\n")[lineOf(unit, node) - 2] ?? "";
  if (/biome-ignore\s+lint\/suspicious\/noExplicitAny:\s*\S/.test(above)) return null;
  return "any: use unknown and narrow it, or say on the line above why it cannot be done";
}

/** Every banned name and construct in one source file of the product. */
export function bannedViolations(unit: SourceUnit): Violation[] {
  const own = declaredNames(unit);
  const found: Violation[] = [];
  walkTree(unit.tree, (node) => {
    const messages = [
      bannedName(node, unit.path, own),
      unexplainedAny(unit, node),
      ...CONSTRUCTS.map((construct) => construct(node)),
    ];
    for (const message of messages) {
      if (message !== null) found.push({ path: unit.path, line: lineOf(unit, node), message });
    }
  });
  return found;
}
