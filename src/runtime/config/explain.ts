/**
 * Turns what zod says into what a person needs: where, what was given and of which type, what is
 * allowed, and the nearest key. One line per problem. Pure.
 */
import { z } from "zod";
import { EsperError } from "../../protocols/errors.ts";
import { didYouMean } from "../cli/suggest.ts";

/** Problems listed before the rest is only counted. */
const MAX_LINES = 20;

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

/**
 * Parses `input` and explains every problem.
 * @throws {CONFIG_UNKNOWN_KEY} when keys nobody knows are the only problem.
 * @throws {CONFIG_INVALID} for every other problem; `subject` names the file or the actor.
 */
export function parseConfig<T>(schema: z.ZodType<T>, input: unknown, subject: string): T {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const lines = explainIssues(schema, input, result.error);
  const onlyKeys = result.error.issues.every((issue) => issue.code === "unrecognized_keys");
  throw new EsperError(
    onlyKeys ? "CONFIG_UNKNOWN_KEY" : "CONFIG_INVALID",
    `${subject}:\n${lines.map((line) => `  ${line}`).join("\n")}`,
    { subject, problems: lines },
  );
}

/** One readable line per problem, at most 20 and then a count. */
export function explainIssues(
  schema: z.ZodType,
  input: unknown,
  error: z.ZodError,
): readonly string[] {
  const lines = error.issues.flatMap((issue) => explainIssue(schema, input, issue));
  if (lines.length <= MAX_LINES) return lines;
  return [...lines.slice(0, MAX_LINES), `and ${lines.length - MAX_LINES} more`];
}

function explainIssue(schema: z.ZodType, input: unknown, issue: Issue): string[] {
  if (issue.code === "unrecognized_keys") {
    const known = keysAt(schema, input, issue.path);
    return issue.keys.map((key) => {
      const allowed = known.length > 0 ? `; allowed keys: ${known.join(", ")}` : "";
      const hint = didYouMean(key, known);
      return `${formatPath([...issue.path, key])}: unknown key${hint || allowed}`;
    });
  }
  if (issue.code === "invalid_key") {
    const rule = issue.issues[0]?.message ?? issue.message;
    return [`${formatPath(issue.path)}: given the name ${describe(issue.path.at(-1))}; ${rule}`];
  }
  const given = valueAt(input, issue.path);
  const hint = issue.code === "invalid_value" ? hintFor(given, issue.values) : "";
  return [`${formatPath(issue.path)}: given ${describe(given)}; ${allowedBy(issue)}${hint}`];
}

/** `topologies.local-cpu.tree`; the whole value when the path is empty. */
export function formatPath(path: Path): string {
  return path.length === 0 ? "(the whole value)" : path.map(String).join(".");
}

/** A value and its type in a few words, e.g. `"fast" (string)`. */
export function describe(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "function") return "a function";
  if (typeof value === "object") return `an object with ${describeKeys(value)}`;
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return `${text.length > 60 ? `${text.slice(0, 60)}...` : text} (${typeof value})`;
}

function describeKeys(value: object): string {
  const keys = Object.keys(value);
  if (keys.length === 0) return "no keys";
  return `the keys ${keys.slice(0, 6).join(", ")}${keys.length > 6 ? ", ..." : ""}`;
}

/** The values a zod enum allows come as words or numbers; only words have neighbours. */
function hintFor(given: unknown, values: readonly unknown[]): string {
  return typeof given === "string" ? didYouMean(given, values.map(String)) : "";
}

function allowedBy(issue: Issue): string {
  switch (issue.code) {
    case "invalid_type":
      return `needed: ${issue.expected === "int" ? "a whole number" : issue.expected}`;
    case "invalid_value":
      return `allowed: ${issue.values.map(String).join(", ")}`;
    case "too_small":
      return `allowed: ${issue.inclusive ? "at least" : "more than"} ${issue.minimum}`;
    case "too_big":
      return `allowed: ${issue.inclusive ? "at most" : "less than"} ${issue.maximum}`;
    case "invalid_union":
      return 'needed: kind "actor" or "supervisor"';
    default:
      return issue.message;
  }
}

function valueAt(input: unknown, path: Path): unknown {
  let value = input;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}

/** The keys the schema knows at `path`, following the branch that the value chose. */
function keysAt(schema: z.ZodType, input: unknown, path: Path): string[] {
  let current: unknown = schema;
  for (const [depth, key] of path.entries()) {
    current = stepInto(resolve(current, valueAt(input, path.slice(0, depth))), key);
  }
  const last = resolve(current, valueAt(input, path));
  return last instanceof z.ZodObject ? Object.keys(last.shape) : [];
}

function stepInto(schema: unknown, key: PropertyKey): unknown {
  if (schema instanceof z.ZodObject) return schema.shape[String(key)];
  if (schema instanceof z.ZodRecord) return schema.valueType;
  if (schema instanceof z.ZodArray) return schema.element;
  return undefined;
}

/** Unwraps lazy and optional schemas and picks the branch of a union by its `kind`. */
function resolve(schema: unknown, value: unknown): unknown {
  if (schema instanceof z.ZodLazy || schema instanceof z.ZodOptional) {
    return resolve(schema.unwrap(), value);
  }
  if (!(schema instanceof z.ZodDiscriminatedUnion)) return schema;
  const kind = valueAt(value, ["kind"]);
  return schema.options.find((option) => {
    const branch = resolve(option, value);
    const literal = branch instanceof z.ZodObject ? branch.shape["kind"] : undefined;
    return literal instanceof z.ZodLiteral && literal.values.has(kind as string);
  });
}
