/**
 * The programs of a Markdown document: fenced blocks whose info string is `ts <program>/<file>.ts`.
 * Every program has a `main.ts`, and says in comments (`// prints: ...`) what it prints, line by
 * line.
 */
import { readFileSync } from "node:fs";

export interface Program {
  readonly name: string;
  /** Text by file name. */
  readonly files: ReadonlyMap<string, string>;
  /** What `main.ts` says that it prints. */
  readonly prints: readonly string[];
}

interface Block {
  readonly info: string;
  readonly line: number;
  readonly text: string;
}

const PATH = /^ts ([a-z][a-z-]*)\/([a-z][a-z.-]*\.ts)$/;
const PRINTS = /\/\/ prints: ?(.*)$/;

/** Every fenced block, in order. */
function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  let open: { info: string; line: number; lines: string[] } | null = null;
  for (const [index, line] of markdown.split("\n").entries()) {
    const fence = /^```(.*)$/.exec(line);
    if (fence === null) open?.lines.push(line);
    else if (open === null) open = { info: fence[1] ?? "", line: index + 1, lines: [] };
    else {
      blocks.push({ info: open.info, line: open.line, text: `${open.lines.join("\n")}\n` });
      open = null;
    }
  }
  if (open !== null) throw new Error(`line ${open.line}: the block is never closed`);
  return blocks;
}

/** The programs of the document at `path`. @throws as `programsOfText` does. */
export function programsOf(path: string): Program[] {
  return programsOfText(readFileSync(path, "utf8"));
}

/** @throws for a TypeScript block that belongs to no program, and for an incomplete program. */
export function programsOfText(markdown: string): Program[] {
  const files = new Map<string, Map<string, string>>();
  for (const { info, line, text } of blocksOf(markdown)) {
    if (!/^(ts|js|typescript|javascript)\b/.test(info)) continue;
    const [, program, file] = PATH.exec(info) ?? [];
    if (program === undefined || file === undefined) {
      throw new Error(`line ${line}: "${info}" names no file of a program`);
    }
    const own = files.get(program) ?? new Map<string, string>();
    if (own.has(file)) throw new Error(`line ${line}: ${program}/${file} is there twice`);
    files.set(program, own.set(file, text));
  }
  return [...files].map(([name, own]) => {
    const main = own.get("main.ts");
    if (main === undefined) throw new Error(`${name} has no main.ts`);
    const prints = main.split("\n").flatMap((line) => PRINTS.exec(line)?.[1] ?? []);
    if (prints.length === 0) throw new Error(`${name} does not say what it prints`);
    return { name, files: own, prints };
  });
}
