/**
 * Rules over a whole supervision tree that no single node can see: an actor's name is used once,
 * a supervisor has children, no supervisor is its own descendant. Pure.
 */
import { EsperError } from "../../protocols/errors.ts";
import type { ActorSpec, SupervisorSpec } from "../topology.ts";

/** Deepest nesting of supervisors. */
const MAX_DEPTH = 16;

/** An actor of a tree with its place in it. */
export interface PlacedActor {
  readonly name: string;
  readonly path: string;
  readonly spec: ActorSpec;
}

/** All actors of a tree, in the order in which they are started. */
export function listActors(tree: SupervisorSpec, path = "tree"): readonly PlacedActor[] {
  return Object.entries(tree.children).flatMap(([name, child]) => {
    const childPath = `${path}.children.${name}`;
    return child.kind === "actor"
      ? [{ name, path: childPath, spec: child }]
      : listActors(child, childPath);
  });
}

/**
 * Refuses trees in which a node contains itself; works on unchecked input, because a schema would
 * never come to an end on it.
 * @throws {CONFIG_INVALID} naming the path at which the circle closes.
 */
export function refuseCycles(value: unknown, path: string): void {
  walk(value, path, new Map());
}

function walk(node: unknown, path: string, above: ReadonlyMap<object, string>): void {
  if (typeof node !== "object" || node === null || !("children" in node)) return;
  const first = above.get(node);
  if (first !== undefined) {
    throw new EsperError(
      "CONFIG_INVALID",
      `${path}: this supervisor is the same object as ${first}, so it contains itself. ` +
        "Make the tree end in actors.",
      { path, first },
    );
  }
  if (above.size >= MAX_DEPTH) {
    throw new EsperError(
      "CONFIG_INVALID",
      `${path}: supervisors are nested more than ${MAX_DEPTH} deep; allowed: at most ${MAX_DEPTH}`,
      { path, maximum: MAX_DEPTH },
    );
  }
  if (typeof node.children !== "object" || node.children === null) return;
  const below = new Map(above).set(node, path);
  for (const [name, child] of Object.entries(node.children)) {
    walk(child, `${path}.children.${name}`, below);
  }
}

/**
 * Checks a tree whose shape is already right.
 * @throws {CONFIG_INVALID} for an actor named twice or a supervisor without children.
 */
export function validateTree(tree: SupervisorSpec, path = "tree"): void {
  refuseCycles(tree, path);
  refuseEmpty(tree, path);
  const seen = new Map<string, string>();
  for (const placed of listActors(tree, path)) {
    const first = seen.get(placed.name);
    if (first !== undefined) {
      throw new EsperError(
        "CONFIG_INVALID",
        `${placed.path}: the actor ${placed.name} is already at ${first}. ` +
          "Actors are addressed by name: give one of them another name.",
        { path: placed.path, first, actor: placed.name },
      );
    }
    seen.set(placed.name, placed.path);
  }
}

function refuseEmpty(node: SupervisorSpec, path: string): void {
  const children = Object.entries(node.children);
  if (children.length === 0) {
    throw new EsperError(
      "CONFIG_INVALID",
      `${path}: this supervisor has no children; needed: at least one actor or supervisor`,
      { path },
    );
  }
  for (const [name, child] of children) {
    if (child.kind === "supervisor") refuseEmpty(child, `${path}.children.${name}`);
  }
}
