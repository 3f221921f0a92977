/**
 * Loads a configuration: the compiled default of the package, or a file of the user's in
 * TypeScript or JavaScript. What comes back is checked completely; loading starts nothing.
 */
import { dirname, extname, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { createJiti } from "jiti";
import { EsperError } from "../../protocols/errors.ts";
import { didYouMean } from "../cli/suggest.ts";
import type { EsperConfig } from "../topology.ts";
import { parseConfig } from "./explain.ts";
import { configSchema } from "./schema.ts";
import { findTopology } from "./topologies.ts";
import { refuseCycles, validateTree } from "./validate-tree.ts";

/** The name under which a configuration imports this package. */
const PACKAGE = "esper-runtime";
const EXTENSIONS = [".ts", ".mts", ".js", ".mjs"];

/** Where the compiled package keeps its default configuration and its public API. */
const COMPILED_DEFAULT = new URL("../../actors.config.js", import.meta.url);
const COMPILED_API = new URL("../../index.js", import.meta.url);

/** The only questions the loader asks of the file system. */
export interface ConfigFiles {
  /** Rejects when there is no such file or folder. */
  stat(path: string): Promise<{ readonly size: number }>;
  /** Names in a folder. */
  list(path: string): Promise<readonly string[]>;
}

export interface LoadOptions {
  readonly files: ConfigFiles;
  readonly workingDirectory: string;
  /** The file used when the user names none; the compiled default of the package if absent. */
  readonly defaultFile?: string;
  /** URL of the package's API, so that a user's file gets the same objects as the product. */
  readonly apiUrl?: string;
}

/** A checked configuration and where it came from. */
export interface LoadedConfig {
  readonly config: EsperConfig;
  readonly file: string;
  readonly source: "default" | "flag";
}

/**
 * Loads and checks `file`, or the default when it is null.
 * @throws {CONFIG_INVALID} for a missing, broken or unfitting file.
 * @throws {CONFIG_UNKNOWN_KEY} when the only problem is a key nobody knows.
 * @throws {TOPOLOGY_UNKNOWN} when `defaults` names a topology that is not there.
 */
export async function loadConfig(file: string | null, options: LoadOptions): Promise<LoadedConfig> {
  const chosen = file ?? options.defaultFile ?? fileURLToPath(COMPILED_DEFAULT);
  const path = resolve(options.workingDirectory, chosen);
  await requireFile(path, options.files);
  const loaded = await importDefault(path, options);
  const config = checkConfig(loaded, path);
  return { config, file: path, source: file === null ? "default" : "flag" };
}

/** Checks a configuration value; `subject` names it in messages. Throws like `loadConfig`. */
export function checkConfig(value: unknown, subject: string): EsperConfig {
  for (const [name, topology] of Object.entries(part(value, "topologies") ?? {})) {
    refuseCycles(part(topology, "tree"), `${subject}: topologies.${name}.tree`);
  }
  const config = parseConfig(configSchema, value, subject);
  for (const [name, topology] of Object.entries(config.topologies)) {
    validateTree(topology.tree, `${subject}: topologies.${name}.tree`);
  }
  findTopology(config, null, `${subject}: defaults`);
  return config;
}

/** A property of something not yet checked, or undefined. */
function part(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined;
}

async function requireFile(path: string, files: ConfigFiles): Promise<void> {
  const extension = extname(path);
  if (!EXTENSIONS.includes(extension)) {
    throw new EsperError(
      "CONFIG_INVALID",
      `the configuration ${path} ends in ${JSON.stringify(extension)}; ` +
        `allowed: ${EXTENSIONS.join(", ")}`,
      { path, allowed: EXTENSIONS },
    );
  }
  try {
    await files.stat(path);
  } catch (cause) {
    const hint = await neighbour(path, files);
    throw new EsperError(
      "CONFIG_INVALID",
      `the configuration ${path} cannot be read: ${messageOf(cause)}${hint}`,
      { path },
      cause,
    );
  }
}

/** Did-you-mean among the files of the same folder; no hint when the folder cannot be read. */
async function neighbour(path: string, files: ConfigFiles): Promise<string> {
  const folder = dirname(path);
  try {
    const names = await files.list(folder);
    return didYouMean(path.slice(folder.length + 1), names);
  } catch (cause) {
    return `; its folder cannot be read either (${messageOf(cause)})`;
  }
}

async function importDefault(path: string, options: LoadOptions): Promise<unknown> {
  let exported: unknown;
  try {
    exported = await importFile(path, options.apiUrl ?? COMPILED_API.href);
  } catch (cause) {
    throw new EsperError(
      "CONFIG_INVALID",
      `${path}: the file cannot be loaded: ${messageOf(cause)}`,
      { path },
      cause,
    );
  }
  const found = part(exported, "default");
  if (typeof found === "object" && found !== null) return found;
  throw new EsperError(
    "CONFIG_INVALID",
    `${path}: no default export; needed: export default defineConfig({ ... })`,
    { path },
  );
}

/**
 * The compiled default is an ordinary module. A user's file goes through jiti, which also reads
 * TypeScript, and gets this process's own copy of the package whatever folder it lies in.
 */
async function importFile(path: string, apiUrl: string): Promise<unknown> {
  if (path === fileURLToPath(COMPILED_DEFAULT)) return import(pathToFileURL(path).href);
  const api: unknown = await import(apiUrl);
  const jiti = createJiti(path, {
    fsCache: false,
    interopDefault: false,
    virtualModules: { [PACKAGE]: api as Record<string, unknown> },
  });
  return jiti.import(path);
}

/** The first two lines: what is wrong and, for a syntax error, in which line of which file. */
function messageOf(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  const lines = text.split("\n").map((line) => line.trim());
  return lines.slice(0, 2).join(" ").trim();
}
