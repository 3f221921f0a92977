/** The order of the set-up: look, lock, look again, install, build. */
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build, isBuilt } from "./build.mjs";
import { tell, tellFailure } from "./failure.mjs";
import { adoptInstallation, install, isInstalled, notInstalled } from "./install.mjs";
import { acquireLock } from "./lock.mjs";

/** The folder that holds package.json. */
export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const LOCK = "dist/.setup.lock";
/** Longer than an installation and a build together may take. */
const LOCK_DEADLINE_MS = 20 * 60_000;

async function prepare(root, options, stop) {
  const release = await acquireLock(path.join(root, LOCK), LOCK_DEADLINE_MS, stop);
  try {
    const { forTests } = options;
    if (!isInstalled(root, forTests) && !adoptInstallation(root, forTests)) {
      if (!options.install) throw notInstalled(root, forTests);
      await install(root, stop);
    }
    if (!isBuilt(root)) await build(root, stop);
  } finally {
    release();
  }
}

/** Makes the checkout at `root` runnable; resolves to the exit code and tells every failure. */
export async function readySetup(options, stop, root = ROOT) {
  try {
    if (!(isInstalled(root, options.forTests) && isBuilt(root))) {
      await prepare(root, options, stop);
    }
    return 0;
  } catch (error) {
    return tellFailure(error);
  }
}

/** The program to become, relative to the checkout; null, and told, when there is no such file. */
export function resolveEntry(file, root = ROOT) {
  const absolute = path.resolve(root, file);
  if (fs.existsSync(absolute)) return { path: absolute, url: pathToFileURL(absolute).href };
  tell(`${absolute} does not exist after the build; is it spelled right?`);
  return null;
}
