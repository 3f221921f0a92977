/**
 * Checks a written topology and turns it into what the threads need: who lives where, with which
 * config. Nothing starts before the whole tree has passed.
 */
import { EsperError } from "../../protocols/errors.ts";
import type { ActorSpec, RunEnvironment, SupervisorSpec } from "../topology.ts";
import { compileProtocol } from "../wire/protocol-table.ts";
import { MAX_THREADS } from "./address.ts";
import type { LoadedActor } from "./cell-parts.ts";
import type { Route } from "./wire.ts";

/** The thread of the process itself. */
export const MAIN = "main";

export interface PlannedActor extends LoadedActor {
  readonly thread: string;
}

export interface Plan {
  readonly actors: readonly PlannedActor[];
  readonly routes: readonly Route[];
  /** Names of all threads but `main`, in order of first mention. */
  readonly threads: readonly string[];
}

const NAME = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;
const MAX_CAPACITY = 1_048_576;

/** @throws {CONFIG_INVALID} naming the path in the tree, the value and what is allowed. */
export function planTree(tree: SupervisorSpec, run: RunEnvironment | undefined): Plan {
  // Without a run its parts are undefined; a config that needs one is refused by its schema.
  const walk = new Walk(run ?? ({} as RunEnvironment));
  walk.supervisor("root", tree);
  const named = walk.actors.map(({ thread }) => thread).filter((thread) => thread !== MAIN);
  const threads = [...new Set(named)];
  if (threads.length >= MAX_THREADS) {
    throw invalid("root", `there are ${threads.length} threads; ${MAX_THREADS - 1} are allowed`);
  }
  const slots = new Map<string, number>();
  const routes = walk.actors.map(({ name, thread, definition }, index): Route => {
    // Slot 0 is the thread itself.
    const slot = (slots.get(thread) ?? 0) + 1;
    slots.set(thread, slot);
    const { protocol, mailbox } = definition;
    const { fingerprint } = compileProtocol(protocol);
    const threadId = threads.indexOf(thread) + 1;
    const { capacity, overflow, kind } = mailbox;
    const where = { thread, threadId, slot, index };
    const queue = { capacity, overflow, direct: kind === "ring" };
    return { name, protocol: protocol.name, fingerprint, ...where, ...queue };
  });
  checkDirect(routes);
  return { actors: walk.actors, routes, threads };
}

class Walk {
  readonly actors: PlannedActor[] = [];
  readonly #run: RunEnvironment;
  readonly #seen = new Set<object>();
  readonly #names = new Map<string, string>();

  constructor(run: RunEnvironment) {
    this.#run = run;
  }

  supervisor(path: string, spec: SupervisorSpec): void {
    this.#enter(path, spec);
    const { intensity, periodMs } = spec;
    checkIntensity(path, intensity, periodMs);
    const children = Object.entries(spec.children);
    if (children.length === 0) {
      throw invalid(path, "the supervisor has no children; give it at least one, or leave it out");
    }
    for (const [name, child] of children) {
      const childPath = `${path}/${name}`;
      if (!NAME.test(name)) {
        throw invalid(childPath, `"${name}" is no name: letters, digits, - and _, at most 64`);
      }
      if (child.kind === "supervisor") this.supervisor(childPath, child);
      else this.#actor(childPath, name, child);
    }
  }

  #actor(path: string, name: string, spec: ActorSpec): void {
    this.#enter(path, spec);
    const earlier = this.#names.get(name);
    if (earlier !== undefined) {
      throw invalid(path, `there is already an actor ${name} at ${earlier}; names are unique`);
    }
    this.#names.set(name, path);
    if (!NAME.test(spec.thread)) {
      throw invalid(path, `"${spec.thread}" is no thread name: letters, digits, - and _`);
    }
    const { supervision, mailbox } = spec.definition;
    checkIntensity(path, supervision.intensity, supervision.periodMs);
    checkCapacity(path, mailbox.capacity);
    checkKind(path, mailbox.kind);
    const config = this.#config(path, name, spec);
    this.actors.push({ name, thread: spec.thread, definition: spec.definition, config });
  }

  #enter(path: string, spec: object): void {
    if (this.#seen.has(spec)) {
      throw invalid(
        path,
        "the same entry is used twice in the tree; write a new one for each place",
      );
    }
    this.#seen.add(spec);
  }

  #config(path: string, name: string, spec: ActorSpec): unknown {
    const given = this.#given(path, name, spec);
    const schema = spec.definition.config;
    if (schema === null) return given;
    const parsed = schema.safeParse(given);
    if (!parsed.success) {
      const issues = parsed.error.issues.map((issue) => {
        const where = issue.path.length === 0 ? "(the whole)" : issue.path.map(String).join(".");
        return `${where}: ${issue.message}`;
      });
      throw invalid(path, `the config of the actor ${name} is not valid: ${issues.join("; ")}`);
    }
    if (spec.thread === MAIN) return parsed.data;
    try {
      return structuredClone(parsed.data) as unknown;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const text = `the config of ${name} must be plain data to reach ${spec.thread}: ${why}`;
      throw invalid(path, text);
    }
  }

  #given(path: string, name: string, spec: ActorSpec): unknown {
    try {
      return spec.config(this.#run);
    } catch (error) {
      if (error instanceof EsperError) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw invalid(path, `the config of the actor ${name} could not be made: ${why}`);
    }
  }
}

/** Messages that stay in a ring until they are handled would stand before those of others. */
function checkDirect(routes: readonly Route[]): void {
  for (const { name, thread, direct, overflow } of routes) {
    if (!direct) continue;
    const others = routes.filter((other) => other.thread === thread && other.name !== name);
    const what = `the mailbox of ${name} is of the kind "ring"`;
    if (thread === MAIN) {
      throw invalid(
        name,
        `${what}, which needs a worker thread; the main thread is never replaced`,
      );
    }
    if (others.length > 0) {
      const shared = others.map((other) => other.name).join(", ");
      throw invalid(name, `${what}, which needs a thread of its own; ${thread} also has ${shared}`);
    }
    if (overflow !== "reject" && overflow !== "wait") {
      const why = "a message in a ring cannot give way; reject and wait are allowed";
      throw invalid(name, `${what} and its overflow is "${overflow}": ${why}`);
    }
  }
}

function checkIntensity(path: string, intensity: number, periodMs: number): void {
  if (!Number.isInteger(intensity) || intensity < 0) {
    throw invalid(path, `intensity is ${intensity}; a whole number from 0 is allowed`);
  }
  if (!(Number.isFinite(periodMs) && periodMs > 0)) {
    throw invalid(path, `periodMs is ${periodMs}; a positive number of milliseconds is allowed`);
  }
}

function checkCapacity(path: string, capacity: number): void {
  if (Number.isInteger(capacity) && capacity >= 1 && capacity <= MAX_CAPACITY) return;
  throw invalid(path, `the mailbox capacity is ${capacity}; 1 to ${MAX_CAPACITY} is allowed`);
}

function checkKind(path: string, kind: unknown): void {
  if (kind === undefined || kind === "heap" || kind === "ring") return;
  throw invalid(path, `the mailbox kind is ${JSON.stringify(kind)}; "heap" or "ring" is allowed`);
}

function invalid(path: string, text: string): EsperError {
  return new EsperError("CONFIG_INVALID", `topology ${path}: ${text}`, { path });
}
