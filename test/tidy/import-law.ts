/**
 * The import law: protocols <- runtime <- actors <- src/runtime.ts, harness outside, and one home
 * for every package and built-in module that touches the world.
 */
import {
  type ImportEdge,
  LAYERS,
  layerOf,
  listImports,
} from "../../harness/static-analysis/imports.ts";
import type { SourceUnit } from "../../harness/static-analysis/source.ts";
import type { Violation } from "./violation.ts";

/** A module that only some files may import: exact files, or folders ending in "/". */
interface ModuleHome {
  readonly modules: RegExp;
  readonly homes: RegExp;
  readonly instead: string;
}

const MODULE_HOMES: readonly ModuleHome[] = [
  {
    modules: /^(node:)?worker_threads$/,
    homes: /^src\/runtime\/(thread|wire|pool)\//,
    instead: "threads are started by src/runtime/thread only; place an actor on a named thread",
  },
  {
    modules: /^piscina$|^(node:)?child_process$/,
    homes: /^src\/runtime\/(pool|soak)\//,
    instead: "use the pool of src/runtime/pool",
  },
  {
    modules: /^comlink$|^(node:)?net$/,
    homes: /^src\/runtime\/inspect\//,
    instead: "only the inspection of a running system listens and connects",
  },
  {
    modules: /^(node:)?fs(\/promises)?$/,
    homes: /^src\/runtime\/durable\/disk\.ts$/,
    instead: "use the Files interface of src/runtime/durable/files.ts",
  },
  {
    modules: /^@tensorflow\//,
    homes: /^src\/runtime\/device\/engine[^/]*\.ts$/,
    instead: "use the engine of src/runtime/device",
  },
  {
    modules: /^nats$|^@nats-io\//,
    homes: /^src\/runtime\/fabric\/nats\.ts$/,
    instead: "use the fabric interface of src/runtime/fabric",
  },
  {
    modules: /^(node:)?(timers(\/promises)?|perf_hooks)$/,
    homes: /^src\/runtime\/clock\.ts$/,
    instead: "use the Clock you are given (src/runtime/clock.ts)",
  },
  {
    modules: /^(node:)?process$/,
    homes: /^$/,
    instead: "use the global `process`, in its homes only, so that the ban can see it",
  },
  {
    modules: /^(commander|picocolors)$/,
    homes: /^src\/runtime\/cli\//,
    instead: "only src/runtime/cli talks to the person at the terminal",
  },
  {
    modules: /^msgpackr$/,
    homes: /^src\/(protocols\/leyline\/codec|runtime\/(fabric|durable|wire)\/[^/]+)\.ts$/,
    instead: "use the codec of src/protocols/leyline/codec.ts",
  },
  {
    modules: /^jiti$/,
    homes: /^src\/runtime\/config\//,
    instead: "only src/runtime/config loads a file given by the user as code",
  },
];

/** What `src/protocols` may import: nothing that reads, writes, waits or remembers. */
const PROTOCOL_MODULES = /^(zod|node:crypto|msgpackr)$/;

type Rule = (edge: ImportEdge) => string | null;

const lawOfLayers: Rule = ({ from, target }) => {
  const own = layerOf(from);
  if (own === null || target === null || !from.startsWith("src/")) return null;
  const reached = layerOf(target);
  if (reached === null) return `imports ${target}: nothing in src imports tests or tools`;
  if (LAYERS.indexOf(reached) <= LAYERS.indexOf(own)) return null;
  return (
    `imports ${target}: ${own} may not know ${reached}; ` +
    "the law is protocols <- runtime <- actors <- src/runtime.ts. Pass it in from above"
  );
};

const pureProtocols: Rule = ({ from, specifier, target }) => {
  if (target !== null || layerOf(from) !== "protocols" || PROTOCOL_MODULES.test(specifier)) {
    return null;
  }
  return `imports ${specifier}: protocols are data and promises; zod, node:crypto, msgpackr only`;
};

const actorFolder = (path: string): string | null =>
  /^src\/actors\/([^/]+)\//.exec(path)?.[1] ?? null;

const separateActors: Rule = ({ from, target }) => {
  const own = actorFolder(from);
  const other = target === null ? null : actorFolder(target);
  if (own === null || other === null || own === other) return null;
  return `imports ${target}: actors know each other's protocol (src/protocols), never the code`;
};

const pureActorParts: Rule = ({ from, specifier, target }) => {
  if (actorFolder(from) === null || from.endsWith(".actor.ts")) return null;
  const mechanism = /^src\/runtime\/(thread|fabric)\//.test(target ?? "");
  if (!mechanism && !specifier.startsWith("node:")) return null;
  return `imports ${specifier}: only *.actor.ts may; keep this file pure, pass the effect in`;
};

const oneHome: Rule = ({ from, specifier }) => {
  if (!from.startsWith("src/")) return null;
  const home = MODULE_HOMES.find(({ modules }) => modules.test(specifier));
  if (home === undefined || home.homes.test(from)) return null;
  return `imports ${specifier}: ${home.instead}`;
};

const oneProduct: Rule = ({ from, specifier, target }) => {
  const outside = layerOf(from) === "harness" || layerOf(from) === "config";
  if (!outside || !specifier.startsWith(".") || !target?.startsWith("src/")) return null;
  return (
    `imports ${specifier}: import "esper-runtime" (src/index.ts); ` +
    "a relative import builds a second copy of the product into dist/src"
  );
};

const spelledWithEnding: Rule = ({ specifier }) => {
  if (!specifier.startsWith(".") || /\.(ts|json)$/.test(specifier)) return null;
  return `imports ${specifier}: relative imports are spelled with their .ts ending`;
};

const RULES: readonly Rule[] = [
  lawOfLayers,
  pureProtocols,
  separateActors,
  pureActorParts,
  oneHome,
  oneProduct,
  spelledWithEnding,
];

/** Every import that breaks the law. */
export function importViolations(units: readonly SourceUnit[]): Violation[] {
  const imports = units.flatMap(listImports).filter((edge) => !edge.byUrl);
  return imports.flatMap((edge) =>
    RULES.flatMap((rule) => {
      const message = rule(edge);
      return message === null ? [] : [{ path: edge.from, line: edge.line, message }];
    }),
  );
}
