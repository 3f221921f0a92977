/** The nodes and jobs the supervision machine works on, and the rules that concern one node. */
import type { RestartKind } from "./actor.ts";
import { RestartWindow, restartDelayMs } from "./restart-window.ts";
import type { ActorSpec, Strategy, SupervisorSpec } from "./topology.ts";

interface NodeBase {
  readonly name: string;
  readonly periodMs: number;
  readonly window: RestartWindow;
  /** Restarts in a row without a healthy period between them. */
  streak: number;
  startedAtMs: number | null;
}

/** An actor. Times in milliseconds on the clock the machine is told. */
export interface Leaf extends NodeBase {
  readonly kind: "leaf";
  readonly parent: Branch;
  readonly order: number;
  readonly restart: RestartKind;
  readonly shutdownMs: number;
  status: "down" | "starting" | "up" | "stopping";
  /** False once the actor is not to be started again. */
  wanted: boolean;
  mustStop: boolean;
  starts: number;
  failedAtMs: number | null;
}

/** A supervisor. */
export interface Branch extends NodeBase {
  readonly kind: "branch";
  readonly parent: Branch | null;
  readonly strategy: Strategy;
  readonly children: TreeNode[];
}

export type TreeNode = Leaf | Branch;

/** A set of actors that is taken down, or up, in order. */
export interface Job {
  readonly id: number;
  readonly kind: "first" | "restart" | "last";
  readonly leaves: readonly Leaf[];
  readonly delayMs: number;
  phase: "stopping" | "waiting" | "starting";
}

export function createJob(
  id: number,
  leaves: readonly Leaf[],
  delayMs: number,
  kind: Job["kind"],
): Job {
  return { id, kind, leaves, delayMs, phase: "stopping" };
}

/** Turns the written tree into nodes; the root supervisor is called `root`. */
export function buildTree(spec: SupervisorSpec): Branch {
  let order = 0;
  function branch(name: string, from: SupervisorSpec, parent: Branch | null): Branch {
    const { strategy, intensity, periodMs } = from;
    const window = new RestartWindow(intensity, periodMs);
    const node: Branch = {
      ...{ kind: "branch", name, parent, strategy, periodMs, window },
      ...{ children: [], streak: 0, startedAtMs: null },
    };
    for (const [child, childSpec] of Object.entries(from.children)) {
      node.children.push(
        childSpec.kind === "actor"
          ? leaf(child, childSpec, node)
          : branch(`${name}/${child}`, childSpec, node),
      );
    }
    return node;
  }
  function leaf(name: string, from: ActorSpec, parent: Branch): Leaf {
    const { restart, intensity, periodMs, shutdownMs } = from.definition.supervision;
    const window = new RestartWindow(intensity, periodMs);
    return {
      ...{ kind: "leaf", name, parent, order: order++, restart, periodMs, shutdownMs, window },
      ...{ status: "down", wanted: true, mustStop: false, starts: 0, streak: 0 },
      ...{ startedAtMs: null, failedAtMs: null },
    };
  }
  return branch("root", spec, null);
}

/** One node as an inspector sees it; `failures` counts those of the last period. */
export interface Standing {
  readonly kind: TreeNode["kind"];
  /** Of a supervisor: its path. */
  readonly name: string;
  readonly failures: number;
  readonly children: readonly Standing[];
}

/** The state of a node and all below it at `atMs`. */
export function standingOf(node: TreeNode, atMs: number): Standing {
  const { kind, name, window } = node;
  const children = kind === "leaf" ? [] : node.children.map((child) => standingOf(child, atMs));
  return { kind, name, failures: window.countAt(atMs), children };
}

/** The actors below a node, in start order. */
export function leavesOf(node: TreeNode): Leaf[] {
  return node.kind === "leaf" ? [node] : node.children.flatMap(leavesOf);
}

/** What follows from one cause that took `nodes` of `branch` down at `atMs`. */
export function noteFailure(
  branch: Branch,
  nodes: readonly TreeNode[],
  atMs: number,
  draw: () => number,
): { readonly within: boolean; readonly delayMs: number; readonly affected: readonly Leaf[] } {
  // A supervisor's window counts its children's failures, an actor's its own. Every window takes
  // note, also after the first has overflowed.
  const counting = [branch, ...nodes.filter(({ kind }) => kind === "leaf")];
  const verdicts = counting.map(({ window }) => window.record(atMs));
  const delays = nodes.map((node) => {
    const healthy = node.startedAtMs !== null && atMs - node.startedAtMs >= node.periodMs;
    if (healthy) node.streak = 0;
    return restartDelayMs(node.streak++, draw());
  });
  const affected = affectedChildren(branch, nodes).flatMap(leavesOf);
  for (const node of nodes) if (node.kind === "branch") node.startedAtMs = atMs;
  return { within: !verdicts.includes(false), delayMs: Math.max(...delays), affected };
}

function affectedChildren(branch: Branch, nodes: readonly TreeNode[]): readonly TreeNode[] {
  switch (branch.strategy) {
    case "one_for_one":
      return nodes;
    case "one_for_all":
      return branch.children;
    case "rest_for_one":
      return branch.children.slice(Math.min(...nodes.map((node) => branch.children.indexOf(node))));
  }
}

/** A supervisor that is restarted by its parent counts anew, and so do its children. */
export function giveUpAt(branch: Branch): void {
  branch.window.reset();
  for (const child of branch.children) {
    child.window.reset();
    child.streak = 0;
    if (child.kind === "branch") giveUpAt(child);
  }
}
