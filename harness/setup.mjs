/**
 * Makes a fresh checkout runnable: checks Node, installs dependencies, builds dist/, and then, with
 * `--then`, becomes the given program in this same process. It needs nothing that is not already
 * in Node, talks only on stderr, and says nothing when there is nothing to do.
 *
 *   node harness/setup.mjs [--build-only | --for-tests] [--then <file> [arguments...]]
 *
 * Exit codes: 1 a build error, 2 a wrong option, 3 Node, npm or the registry is not usable,
 * 130 and 143 when interrupted.
 */
import process from "node:process";

const OLDEST_NODE_MAJOR = 20;
const EXIT_BUILD = 1;
const EXIT_USAGE = 2;
const EXIT_DEPENDENCY = 3;

/** Splits the command line; everything after the file named by `--then` belongs to that file. */
function parseArguments(argv) {
  const options = { install: true, forTests: false, entry: null, rest: [] };
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index];
    if (word === "--build-only") options.install = false;
    else if (word === "--for-tests") options.forTests = true;
    else if (word === "--then" && argv[index + 1] !== undefined) {
      options.entry = argv[index + 1];
      options.rest = argv.slice(index + 2);
      return options;
    } else {
      return { wrong: word };
    }
  }
  return options;
}

/** Runs the set-up under its lock; resolves to the exit code, 0 when dist/ can be used. */
async function setUp(options) {
  const { readySetup } = await import("./setup/ready.mjs");
  const stop = new AbortController();
  const onSignal = (signal) => stop.abort(signal);
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  try {
    return await readySetup(options, stop.signal);
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}

/** Loads the program as if node had been started with it; resolves to the set-up's exit code. */
async function become(file, rest) {
  const { resolveEntry } = await import("./setup/ready.mjs");
  const entry = resolveEntry(file);
  if (entry === null) return EXIT_BUILD;
  process.argv = [process.argv[0], entry.path, ...rest];
  await import(entry.url);
  return 0;
}

async function main() {
  if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE_MAJOR) {
    process.stderr.write(
      `setup: Node ${OLDEST_NODE_MAJOR} or newer is needed; this is ${process.versions.node} ` +
        `(${process.execPath}). Install a newer one from https://nodejs.org and run this again.\n`,
    );
    return EXIT_DEPENDENCY;
  }
  const options = parseArguments(process.argv.slice(2));
  if (options.wrong !== undefined) {
    process.stderr.write(
      `setup: "${options.wrong}" is not understood; allowed are --build-only, --for-tests ` +
        "and --then <file> [arguments...].\n",
    );
    return EXIT_USAGE;
  }
  const code = await setUp(options);
  if (code !== 0 || options.entry === null) return code;
  return become(options.entry, options.rest);
}

const code = await main();
if (code !== 0) process.exitCode = code;
