/** A tiny product in a temporary folder, with the real set-up and a real or a quick compiler. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const REPOSITORY = fileURLToPath(new URL("../../..", import.meta.url));

const COMPILER_OPTIONS = {
  target: "ES2022",
  module: "NodeNext",
  types: [],
  skipLibCheck: true,
  declaration: true,
  sourceMap: true,
};

/** The product, as paths and helpers relative to its root. */
export interface TinyProduct {
  readonly root: string;
  write(path: string, text: string): void;
  read(path: string): string;
  has(path: string): boolean;
  remove(path: string): void;
}

/** Makes the product: two sources, one asset, a second pass, and an installation npm recorded. */
export function createTinyProduct(compiler: "real" | "quick"): TinyProduct {
  const root = mkdtempSync(join(tmpdir(), "esper-setup-"));
  const product: TinyProduct = {
    root,
    write(path, text) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    },
    read: (path) => readFileSync(join(root, path), "utf8"),
    has: (path) => existsSync(join(root, path)),
    remove: (path) => rmSync(join(root, path), { recursive: true }),
  };
  product.write("package.json", '{ "name": "tiny", "type": "module" }');
  product.write("package-lock.json", '{ "packages": { "": {} } }');
  const first = { ...COMPILER_OPTIONS, rootDir: "src", outDir: "dist" };
  const second = { ...COMPILER_OPTIONS, rootDir: ".", outDir: "dist", declaration: false };
  product.write("tsconfig.json", JSON.stringify({ compilerOptions: first, include: ["src"] }));
  product.write(
    "tsconfig.config.json",
    JSON.stringify({ compilerOptions: second, include: ["harness.ts", "harness"] }),
  );
  product.write("src/index.ts", "export const answer = 42;\n");
  product.write("src/page/style.css", "body {}\n");
  product.write("harness.ts", "export const measured = true;\n");
  for (const name of ["setup.mjs", "setup"]) {
    cpSync(join(REPOSITORY, "harness", name), join(root, "harness", name), { recursive: true });
  }
  installByHand(product, compiler);
  return product;
}

/**
 * Stands in for tsc where the test is not about types: copies sources that are valid JavaScript to
 * where the two passes would put them, thirty times as fast.
 */
const QUICK_COMPILER = `
const fs = require("node:fs");
const first = process.argv.includes("tsconfig.json");
const names = first ? fs.readdirSync("src").filter((name) => name.endsWith(".ts")) : ["harness.ts"];
fs.mkdirSync("dist", { recursive: true });
for (const name of names) {
  const text = fs.readFileSync(first ? "src/" + name : name, "utf8");
  fs.writeFileSync("dist/" + name.replace(".ts", ".js"), text);
  if (first) fs.writeFileSync("dist/" + name.replace(".ts", ".d.ts"), "export {};");
}
`;

/** What `npm ci` leaves behind: the packages and npm's own record of them. */
function installByHand(product: TinyProduct, compiler: "real" | "quick"): void {
  product.write("node_modules/.package-lock.json", '{ "packages": {} }');
  product.write("node_modules/@types/node/package.json", "{}");
  if (compiler === "real") {
    const packages = join(product.root, "node_modules");
    symlinkSync(join(REPOSITORY, "node_modules/typescript"), join(packages, "typescript"));
  } else {
    product.write("node_modules/typescript/package.json", "{}");
    product.write("node_modules/typescript/bin/tsc", QUICK_COMPILER);
  }
}

/** Puts a program in npm's place that writes `output` to stderr and ends with `exitCode`. */
export function writeFakeNpm(product: TinyProduct, output: string, exitCode: number): string {
  const script = `process.stderr.write(${JSON.stringify(output)}); process.exit(${exitCode});\n`;
  product.write("fake/npm-cli.js", script);
  product.write("fake/package.json", '{ "type": "module" }');
  return join(product.root, "fake/npm-cli.js");
}
