/** Writes docs/static-analysis.md from the sources of a checkout. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { renderStaticAnalysis } from "./document.ts";
import { measureCheckout } from "./measure.ts";

/** Where the page lies, relative to the root. */
export const STATIC_ANALYSIS_PATH = "docs/static-analysis.md";

/** Measures the checkout at `root`, writes the page and resolves to its text. */
export async function writeStaticAnalysis(root: string): Promise<string> {
  const page = renderStaticAnalysis(measureCheckout(root));
  const target = join(root, STATIC_ANALYSIS_PATH);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, page);
  return page;
}
