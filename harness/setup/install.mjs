/**
 * Installs exactly what package-lock.json names, and only when something differs. An installation
 * made by hand with `npm ci` is recognised by npm's own hidden lock file and left alone.
 */
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import process from "node:process";
import { EXIT_BUILD, EXIT_DEPENDENCY, SetupFailure, tell } from "./failure.mjs";
import { npmCommand, runTool } from "./run-tool.mjs";

const STAMP = "node_modules/.esper-setup.json";
const NPM_HIDDEN_LOCK = "node_modules/.package-lock.json";
const INSTALL_DEADLINE_MS = 15 * 60_000;
/** What the build itself needs besides the dependencies of the product. */
const BUILD_TOOLS = ["typescript", "@types/node"];

/** npm's error codes that mean "no way to the registry". */
const NETWORK = new RegExp(
  "\\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|" +
    "ENOTCACHED|ERR_SOCKET_TIMEOUT)\\b",
);

function readJson(file) {
  try {
    return JSON.parse(fs.readFileSync(file, "utf8"));
  } catch (error) {
    // Missing and half-written files both mean "not known": the caller installs again.
    if (error.code === "ENOENT" || error instanceof SyntaxError) return null;
    throw error;
  }
}

/** What an installation depends on: the lock file and, for native packages, the platform. */
function installKey(root) {
  const lock = fs.readFileSync(path.join(root, "package-lock.json"));
  const hash = createHash("sha256").update(lock).digest("hex");
  return `${hash} ${process.platform}-${process.arch}`;
}

function missingPackages(root, forTests) {
  const manifest = readJson(path.join(root, "package.json"));
  if (manifest === null) {
    throw new SetupFailure(EXIT_BUILD, `${root}/package.json is missing or not valid JSON.`);
  }
  const dev = forTests ? Object.keys(manifest.devDependencies ?? {}) : BUILD_TOOLS;
  const names = [...Object.keys(manifest.dependencies ?? {}), ...dev];
  return names.filter((name) => !fs.existsSync(path.join(root, "node_modules", name)));
}

/** True when npm itself recorded the same versions; optional packages depend on the platform. */
function matchesHiddenLock(root) {
  const wanted = readJson(path.join(root, "package-lock.json"))?.packages;
  const present = readJson(path.join(root, NPM_HIDDEN_LOCK))?.packages;
  if (wanted === undefined || present === undefined) return false;
  return Object.entries(wanted).every(([where, entry]) => {
    const required = where !== "" && !entry.optional && !entry.peer && !entry.devOptional;
    return !required || present[where]?.version === entry.version;
  });
}

/** True when nothing has to be installed. */
export function isInstalled(root, forTests) {
  if (missingPackages(root, forTests).length > 0) return false;
  const stamp = readJson(path.join(root, STAMP));
  return stamp?.key === installKey(root);
}

/** Takes over an installation that somebody made with npm; true when it is the right one. */
export function adoptInstallation(root, forTests) {
  if (missingPackages(root, forTests).length > 0 || !matchesHiddenLock(root)) return false;
  writeStamp(root);
  return true;
}

function writeStamp(root) {
  fs.writeFileSync(path.join(root, STAMP), `${JSON.stringify({ key: installKey(root) })}\n`);
}

/** The message for a failed `npm ci`: what happened and what to do. */
function installFailure({ code, output, timedOut }) {
  if (timedOut) {
    const minutes = INSTALL_DEADLINE_MS / 60_000;
    return new SetupFailure(
      EXIT_DEPENDENCY,
      `npm ci did not end within ${minutes} minutes. Check the network and run this again.`,
      output,
    );
  }
  if (code === null) {
    return new SetupFailure(
      EXIT_DEPENDENCY,
      "npm could not be started. Install npm 10 or newer (it comes with Node) and try again.",
      output,
    );
  }
  if (NETWORK.test(output)) {
    return new SetupFailure(
      EXIT_DEPENDENCY,
      "the package registry cannot be reached and npm's cache lacks a package. Connect once (or " +
        "set a registry: npm config set registry <url>) and run this again.",
      output,
    );
  }
  if (/\bEUSAGE\b|can only install/.test(output)) {
    return new SetupFailure(
      EXIT_BUILD,
      "package.json and package-lock.json disagree. Run npm install and keep both files.",
      output,
    );
  }
  return new SetupFailure(
    EXIT_DEPENDENCY,
    `npm ci failed with exit code ${code}; its words are above. Mend that and run this again.`,
    output,
  );
}

/**
 * Runs `npm ci` with development tools included, from npm's cache where it can.
 * @throws {SetupFailure} with exit code 3 when npm or its registry cannot be used.
 */
export async function install(root, stop) {
  tell("installing dependencies (npm ci)");
  const npm = npmCommand();
  const flags = ["ci", "--include=dev", "--prefer-offline", "--no-audit", "--no-fund"];
  const result = await runTool({
    command: npm.command,
    args: [...npm.args, ...flags, "--loglevel=error"],
    shell: npm.shell,
    cwd: root,
    deadlineMs: INSTALL_DEADLINE_MS,
    stop,
  });
  if (result.code !== 0) throw installFailure(result);
  writeStamp(root);
}

/** The failure of a set-up that may not install. */
export function notInstalled(root, forTests) {
  const missing = missingPackages(root, forTests);
  const what = missing.length > 0 ? `missing: ${missing.join(", ")}` : "package-lock.json changed";
  return new SetupFailure(
    EXIT_DEPENDENCY,
    `the dependencies are not installed (${what}). Run npm ci first; --build-only only builds.`,
  );
}
