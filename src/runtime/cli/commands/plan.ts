/** What `--dry-run` shows: the supervision tree, the threads and every limit. Starts nothing. */
import type { RunRequest } from "../../../protocols/run.ts";
import type { NamedTopology } from "../../config/topologies.ts";
import { listActors } from "../../config/validate-tree.ts";
import type { ActorSpec, SupervisorSpec } from "../../topology.ts";
import type { ResumeRequest } from "../deps.ts";

/** The plan of a run as plain data, one JSON line of `--dry-run --json`. */
export function planData(topology: NamedTopology, request: RunRequest | ResumeRequest) {
  const actors = listActors(topology.spec.tree).map(({ name, path, spec }) => ({
    name,
    path,
    thread: spec.thread,
    mailbox: spec.definition.mailbox,
    supervision: spec.definition.supervision,
  }));
  return {
    kind: "plan",
    topology: topology.name,
    description: topology.spec.description,
    engine: topology.spec.engine,
    fabric: topology.spec.fabric.kind,
    threads: [...new Set(actors.map(({ thread }) => thread))],
    actors,
    request,
  } as const;
}

/** The plan of a run in lines for people. */
export function planText(topology: NamedTopology, request: RunRequest | ResumeRequest): string {
  const { threads, actors } = planData(topology, request);
  const { spec } = topology;
  return [
    `topology ${topology.name}: ${spec.description}`,
    `engine ${spec.engine}, fabric ${spec.fabric.kind}`,
    "",
    "tree (started from top to bottom, stopped from bottom to top)",
    ...treeLines(spec.tree, "  "),
    "",
    `threads (${threads.length})`,
    ...threads.map((thread) => {
      const names = actors.filter((actor) => actor.thread === thread).map(({ name }) => name);
      return `  ${thread}: ${names.join(", ")}`;
    }),
    "",
    "request",
    ...requestLines(request),
    "",
    "dry run: nothing was started",
    "",
  ].join("\n");
}

/** Indented like the tree: a supervisor and below it its children. */
function treeLines(node: SupervisorSpec, indent: string): string[] {
  const head =
    `${indent}supervisor ${node.strategy}, ` +
    `at most ${node.intensity} restarts in ${node.periodMs} ms`;
  const below = Object.entries(node.children).flatMap(([name, child]) =>
    child.kind === "actor"
      ? [actorLine(name, child, `${indent}  `)]
      : [`${indent}  ${name}`, ...treeLines(child, `${indent}    `)],
  );
  return [head, ...below];
}

/** One actor with every limit it runs under. */
function actorLine(name: string, spec: ActorSpec, indent: string): string {
  const { mailbox, supervision } = spec.definition;
  return (
    `${indent}${name} on ${spec.thread}: ${supervision.restart}, ` +
    `mailbox ${mailbox.capacity} then ${mailbox.overflow}, ` +
    `${supervision.intensity} restarts in ${supervision.periodMs} ms, ` +
    `${supervision.shutdownMs} ms to stop`
  );
}

function requestLines(request: object): string[] {
  return Object.entries(request).map(([key, value]) => {
    const shown = value === null ? "chosen for the data" : JSON.stringify(value);
    return `  ${key}: ${shown}`;
  });
}
