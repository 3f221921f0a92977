/**
 * comedy's threaded mode as a peer. Its licence keeps it out of the dependencies, so it is loaded
 * from a folder the caller names; where it is missing, the comparison is skipped aloud.
 */
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Tick } from "../runtime/payloads.ts";
import type { Caller } from "./caller.ts";

/** The part of its API that a call needs. */
interface ComedyActor {
  sendAndReceive(topic: string, message: Tick): Promise<number>;
}

interface ComedySystem {
  rootActor(): Promise<{ createChild(definition: object, options: object): Promise<ComedyActor> }>;
  destroy(): Promise<void>;
}

type Comedy = (options: object) => ComedySystem;

const silent = { debug() {}, info() {}, warn() {}, error() {} };

function load(directory: string): { readonly comedy: Comedy; readonly version: string } | null {
  const require = createRequire(pathToFileURL(join(directory, "package.json")));
  try {
    const { version } = require("comedy/package.json") as { version: string };
    return { comedy: require("comedy") as Comedy, version };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "MODULE_NOT_FOUND") return null;
    throw error;
  }
}

/** An echo actor in a thread of its own; null where comedy is not installed. */
export async function comedyCaller(directory: string): Promise<Caller | null> {
  const found = load(directory);
  if (found === null) return null;
  const system = found.comedy({ log: silent, loggers: silent });
  const root = await system.rootActor();
  const actor = await root.createChild(
    { echo: ({ sequence }: Tick) => sequence },
    { mode: "threaded" },
  );
  return {
    name: `comedy ${found.version}, threaded`,
    call: (tick) => actor.sendAndReceive("echo", tick),
    close: () => system.destroy(),
  };
}
