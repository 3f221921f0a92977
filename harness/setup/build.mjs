/**
 * Builds dist/ from src/ (first pass, with declarations) and from actors.config.ts, harness.ts and
 * harness/ (second pass, which imports the first by the package's own name). It builds only when
 * the content of a source or the outputs changed, never leaves an output without its source
 * behind, and replaces nothing when the compiler finds an error.
 */
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import process from "node:process";
import { EXIT_BUILD, EXIT_DEPENDENCY, SetupFailure, tell } from "./failure.mjs";
import { runTool } from "./run-tool.mjs";

const STAMP = "dist/.esper-build.json";
const SOURCE_FOLDERS = ["src", "harness"];
const SOURCE_FILES = ["actors.config.ts", "harness.ts"];
const OTHER_INPUTS = ["package.json", "package-lock.json", "tsconfig.json", "tsconfig.config.json"];
const COMPILE_DEADLINE_MS = 5 * 60_000;

function walk(root, folder) {
  const absolute = path.join(root, folder);
  if (!fs.existsSync(absolute)) return [];
  return fs
    .readdirSync(absolute, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(root, path.join(entry.parentPath ?? entry.path, entry.name)))
    .map((file) => file.split(path.sep).join("/"))
    .sort();
}

const isModule = (file) => file.endsWith(".ts") && !file.endsWith(".d.ts");
/** Files the program reads at run time: everything but code of the set-up and documents. */
const isAsset = (file) => !/\.(ts|mjs|md)$|(^|\/)\./.test(file);

/** Where a source ends up: src/ is lifted to the top of dist/. */
function targetOf(file) {
  return `dist/${file.startsWith("src/") ? file.slice("src/".length) : file}`;
}

function outputsOf(file) {
  if (!isModule(file)) return [targetOf(file)];
  const stem = targetOf(file).slice(0, -".ts".length);
  return file.startsWith("src/") ? [`${stem}.js`, `${stem}.d.ts`] : [`${stem}.js`];
}

/** Every file that takes part in the build, by path relative to the root. */
function listInputs(root) {
  const found = SOURCE_FOLDERS.flatMap((folder) => walk(root, folder));
  const single = SOURCE_FILES.filter((file) => fs.existsSync(path.join(root, file)));
  const sources = [...found, ...single];
  return { modules: sources.filter(isModule), assets: sources.filter(isAsset) };
}

function hashInputs(root, inputs) {
  const hash = createHash("sha256");
  const others = OTHER_INPUTS.filter((file) => fs.existsSync(path.join(root, file)));
  for (const file of [...inputs.modules, ...inputs.assets, ...others]) {
    const content = fs.readFileSync(path.join(root, file));
    hash.update(`${file}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex");
}

/** Sizes and times of the outputs: notices a compiler run by hand, null when one is missing. */
function hashOutputs(root, inputs) {
  const hash = createHash("sha256");
  for (const file of [...inputs.modules, ...inputs.assets].flatMap(outputsOf)) {
    const stat = fs.statSync(path.join(root, file), { throwIfNoEntry: false });
    if (stat === undefined) return null;
    hash.update(`${file}\0${stat.size}\0${stat.mtimeMs}\0`);
  }
  return hash.digest("hex");
}

function readStamp(root) {
  try {
    return JSON.parse(fs.readFileSync(path.join(root, STAMP), "utf8"));
  } catch (error) {
    // No stamp and a torn stamp mean the same: build again.
    if (error.code === "ENOENT" || error instanceof SyntaxError) return null;
    throw error;
  }
}

/** True when dist/ is exactly what the last successful build made of today's sources. */
export function isBuilt(root) {
  const stamp = readStamp(root);
  if (stamp === null) return false;
  const inputs = listInputs(root);
  return stamp.outputs === hashOutputs(root, inputs) && stamp.inputs === hashInputs(root, inputs);
}

/**
 * The state of dist/ for tests that run the built product: "current" also when a compiler run by
 * hand made every output later than its source.
 */
export function describeBuild(root) {
  const inputs = listInputs(root);
  const missing = inputs.modules.find((file) =>
    outputsOf(file).some((output) => !fs.existsSync(path.join(root, output))),
  );
  if (missing !== undefined) return { state: "missing", file: missing };
  if (isBuilt(root)) return { state: "current", file: null };
  const modifiedMs = (file) => fs.statSync(path.join(root, file)).mtimeMs;
  const older = inputs.modules.find((file) =>
    outputsOf(file).some((output) => modifiedMs(output) < modifiedMs(file)),
  );
  return older === undefined
    ? { state: "current", file: null }
    : { state: "outdated", file: older };
}

async function compile(root, project, stop) {
  const compiler = path.join(root, "node_modules/typescript/bin/tsc");
  if (!fs.existsSync(compiler)) {
    throw new SetupFailure(EXIT_DEPENDENCY, "TypeScript is not installed. Run npm ci first.");
  }
  const result = await runTool({
    command: process.execPath,
    args: [compiler, "-p", project, "--noEmitOnError", "--pretty", "false"],
    cwd: root,
    deadlineMs: COMPILE_DEADLINE_MS,
    stop,
  });
  if (result.code === 0) return;
  const why = result.timedOut
    ? `did not end within ${COMPILE_DEADLINE_MS / 60_000} minutes`
    : "found errors, listed above; dist/ keeps the last good build";
  throw new SetupFailure(EXIT_BUILD, `tsc -p ${project} ${why}.`, result.output);
}

/** True when a file of dist/ still has a source, under src/ or beside it. */
function hasSource(root, file) {
  const inner = file.slice("dist/".length);
  const names = [inner, inner.replace(/\.js(\.map)?$|\.d\.ts$/, ".ts")];
  return names.some((name) =>
    ["src", "."].some((base) => fs.existsSync(path.join(root, base, name))),
  );
}

function prune(root) {
  for (const file of walk(root, "dist")) {
    const own = /^dist\/\.(esper-build\.json$|setup\.lock)/.test(file);
    if (!own && !hasSource(root, file)) fs.rmSync(path.join(root, file));
  }
}

/**
 * Builds everything and records what was built.
 * @throws {SetupFailure} with exit code 1 and the compiler's words when a source has an error.
 */
export async function build(root, stop) {
  tell("building dist/");
  fs.rmSync(path.join(root, STAMP), { force: true });
  const inputs = listInputs(root);
  const hash = hashInputs(root, inputs);
  await compile(root, "tsconfig.json", stop);
  if (inputs.modules.some((file) => !file.startsWith("src/"))) {
    await compile(root, "tsconfig.config.json", stop);
  }
  for (const file of inputs.assets) {
    const target = path.join(root, targetOf(file));
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.copyFileSync(path.join(root, file), target);
  }
  prune(root);
  // The hash was taken before compiling: a source edited meanwhile makes the next run build again.
  const stamp = { inputs: hash, outputs: hashOutputs(root, inputs) };
  fs.writeFileSync(path.join(root, STAMP), `${JSON.stringify(stamp)}\n`);
}
