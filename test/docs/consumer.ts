/**
 * A project of somebody else: an empty folder far from the repository, with the package as it would
 * be published (packed and unpacked) in its `node_modules`. Nothing is downloaded: what the package
 * depends on is linked from the repository's own installation.
 */
import { execFile } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const execute = promisify(execFile);
/** A command that takes this long hangs. */
const LIMIT_MS = 120_000;

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Consumer {
  readonly folder: string;
  write(file: string, text: string): void;
  /** Compiles every `.ts` file beside itself, as strictly as can be. */
  compile(): Promise<Ended>;
  run(...args: readonly string[]): Promise<Ended>;
  remove(): void;
}

const COMPILER_OPTIONS = {
  ...{ target: "es2022", module: "nodenext", moduleResolution: "nodenext" },
  ...{ lib: ["es2023", "esnext.disposable"], types: ["node"] },
  ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true },
  ...{ verbatimModuleSyntax: true, isolatedModules: true, skipLibCheck: true },
  ...{ allowImportingTsExtensions: true, rewriteRelativeImportExtensions: true },
};

async function run(
  folder: string,
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<Ended> {
  const options = { cwd: folder, env, timeout: LIMIT_MS, maxBuffer: 64 * 1_024 * 1_024 };
  try {
    return { code: 0, ...(await execute(command, args, options)) };
  } catch (error) {
    const { code, stdout = "", stderr = "", message } = error as Error & Partial<Ended>;
    return { code: typeof code === "number" ? code : -1, stdout, stderr: stderr || message };
  }
}

/** The files of the package, as `npm publish` would send them. */
async function unpackPackage(folder: string): Promise<void> {
  const npm = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder];
  const packed = await run(ROOT, "npm", npm);
  const [archive] = fs.readdirSync(folder).filter((name) => name.endsWith(".tgz"));
  if (archive === undefined) throw new Error(`npm pack: exit ${packed.code}\n${packed.stderr}`);
  const target = path.join(folder, "node_modules", "esper-runtime");
  fs.mkdirSync(target, { recursive: true });
  await run(folder, "tar", ["-xzf", archive, "--strip-components=1", "-C", target]);
  fs.rmSync(path.join(folder, archive));
  fs.symlinkSync(path.join(ROOT, "node_modules"), path.join(target, "node_modules"));
}

/** Makes the folder; the caller removes it. */
export async function newConsumer(): Promise<Consumer> {
  const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "esper-consumer-")));
  await unpackPackage(folder);
  for (const name of ["zod", "@types"]) {
    fs.symlinkSync(path.join(ROOT, "node_modules", name), path.join(folder, "node_modules", name));
  }
  const write = (file: string, text: string): void => {
    const target = path.join(folder, file);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.writeFileSync(target, text);
  };
  write("package.json", JSON.stringify({ name: "consumer", private: true, type: "module" }));
  write("tsconfig.json", JSON.stringify({ compilerOptions: COMPILER_OPTIONS }));
  const tsc = path.join(ROOT, "node_modules/typescript/bin/tsc");
  return {
    folder,
    write,
    compile: () => run(folder, process.execPath, [tsc, "-p", folder]),
    run: (...args) => run(folder, process.execPath, args, { PATH: process.env["PATH"] }),
    remove: () => fs.rmSync(folder, { recursive: true, force: true }),
  };
}
