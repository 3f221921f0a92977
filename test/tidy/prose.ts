/** What may not stand in any text of the repository, code or document. */
import type { Violation } from "./violation.ts";

interface BannedText {
  readonly pattern: RegExp;
  readonly message: string;
}

// Written in halves so that this file does not contain what it forbids.
const UNFINISHED = new RegExp(
  `\\b(${["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"].join("|")})\\b`,
);
const WORKPLACE = new RegExp(
  `(^|[\\s"'\`(=])/(${["wo" + "rk", "fa" + "rm", "ho" + "me/[a-z]+", "Us" + "ers"].join("|")})/|` +
    `\\b${"fa" + "rm"}-[a-z]+|(^|[\\s/"'\`(])\\.${"lib" + "rary"}\\b|/tmp/${"br" + "ief"}`,
);

const EVERYWHERE: readonly BannedText[] = [
  { pattern: UNFINISHED, message: "unfinished-work marker: finish it or write it down in docs/" },
  {
    pattern: WORKPLACE,
    message: "a path or tool of one machine: the repository speaks of the product",
  },
  { pattern: /^(<{7}|>{7}) /, message: "merge conflict marker" },
  { pattern: /[ \t]+$/, message: "trailing blanks" },
];

const IN_DOCUMENTS: readonly BannedText[] = [
  {
    pattern: /\b(this|the|our|next|previous|coding|work) sessions?\b|\b(issue|ticket) #?\d+/i,
    message: "speaks of how the work was organised, not of the product",
  },
  { pattern: /\b(as an AI|language model|chatbot|co-?pilot)\b/i, message: "speaks of an author" },
];

const IN_TESTS: readonly BannedText[] = [
  {
    pattern: /\b(it|test|describe|suite|bench)(\.\w+)*\.(only|skip|todo|fails)\b/,
    message: "focused, skipped or empty test: every test runs, and can fail",
  },
];

function bannedFor(path: string): readonly BannedText[] {
  if (path.endsWith(".md")) return [...EVERYWHERE, ...IN_DOCUMENTS];
  return path.startsWith("test/") ? [...EVERYWHERE, ...IN_TESTS] : EVERYWHERE;
}

/** The lines of a Markdown file that are not inside a fenced block. */
function outsideFences(text: string): { line: number; text: string }[] {
  let fenced = false;
  return text.split("\n").flatMap((line, index) => {
    if (/^\s*(```|~~~)/.test(line)) {
      fenced = !fenced;
      return [];
    }
    return fenced ? [] : [{ line: index + 1, text: line }];
  });
}

/** A Markdown file has exactly one first-level heading, and it comes first. */
export function headingViolations(path: string, text: string): Violation[] {
  const lines = outsideFences(text);
  const titles = lines.filter((line) => /^# \S/.test(line.text));
  const first = lines.find((line) => line.text.trim() !== "");
  if (titles.length === 1 && first?.line === titles[0]?.line) return [];
  const message = `${titles.length} first-level headings; exactly one, at the top, is allowed`;
  return [{ path, line: titles[1]?.line ?? 1, message }];
}

/** Every banned text in one file. */
export function proseViolations(path: string, text: string): Violation[] {
  const rules = bannedFor(path);
  return text
    .split("\n")
    .flatMap((line, index) =>
      rules
        .filter(({ pattern }) => pattern.test(line))
        .map(({ message }) => ({ path, line: index + 1, message })),
    );
}
