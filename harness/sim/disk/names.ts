/**
 * The directories of a simulated disk. A name that was made, moved or removed is durable only
 * after a sync of its directory; until then a crash may keep it or not, each change as a whole.
 */
import { posix } from "node:path";
import type { Random } from "esper-runtime";
import { type CrashStyle, Pages } from "./pages.ts";

export interface FileNode {
  readonly kind: "file";
  readonly pages: Pages;
  readonly permissions: number;
  /** Directory entries and open handles that lead to it; at 0 its room is free. */
  users: number;
}

export interface LinkNode {
  readonly kind: "link";
  readonly target: string;
}

export interface DirectoryNode {
  readonly kind: "directory";
  readonly entries: Map<string, DiskNode>;
  readonly durable: Map<string, DiskNode>;
  /** Not on the device yet, oldest first. */
  changes: NameChange[];
}

export type DiskNode = FileNode | LinkNode | DirectoryNode;

/** Both sides of a move between directories are one step: they share its `moment`. */
interface NameChange {
  readonly moment: number;
  readonly removes: string | null;
  readonly adds: readonly [name: string, node: DiskNode] | null;
}

/** Where a path leads; `node` is undefined when the name is free. */
export interface Place {
  readonly directory: DirectoryNode;
  readonly name: string;
  readonly node: DiskNode | undefined;
}

const LINKS_MAX = 40;

/** An error as node's file functions throw it. */
export function systemError(code: string, operation: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${operation} '${path}'`), { code, path });
}

export function newDirectory(): DirectoryNode {
  return { kind: "directory", entries: new Map(), durable: new Map(), changes: [] };
}

export function newFile(permissions: number, pages = new Pages()): FileNode {
  return { kind: "file", pages, permissions, users: 0 };
}

function applyChange(names: Map<string, DiskNode>, { removes, adds }: NameChange): void {
  if (removes !== null) names.delete(removes);
  if (adds !== null) names.set(...adds);
}

export class Names {
  readonly root = newDirectory();
  #moment = 0;
  /** Directories with changes that a crash may lose. */
  readonly #unsynced = new Set<DirectoryNode>();

  /** @throws ENOENT, ENOTDIR or ELOOP, as a system does. */
  find(path: string, operation: string, follow: boolean, depth = 0): Place {
    if (depth > LINKS_MAX) throw systemError("ELOOP", operation, path);
    const parts = posix.resolve("/", path).split("/").slice(1);
    const name = parts.pop() ?? "";
    let directory = this.root;
    for (const [index, part] of parts.entries()) {
      let node = directory.entries.get(part);
      if (node?.kind === "link") {
        const at = `/${parts.slice(0, index).join("/")}`;
        node = this.find(posix.resolve(at, node.target), operation, true, depth + 1).node;
      }
      if (node === undefined) throw systemError("ENOENT", operation, path);
      if (node.kind !== "directory") throw systemError("ENOTDIR", operation, path);
      directory = node;
    }
    if (name === "") return { directory, name, node: directory };
    const node = directory.entries.get(name);
    if (node?.kind !== "link" || !follow) return { directory, name, node };
    const target = posix.resolve(`/${parts.join("/")}`, node.target);
    return this.find(target, operation, true, depth + 1);
  }

  /** The node at the path. @throws ENOENT */
  need(path: string, operation: string, follow = true): DiskNode {
    const { node } = this.find(path, operation, follow);
    if (node === undefined) throw systemError("ENOENT", operation, path);
    return node;
  }

  /** True when `inner` is the directory or lies somewhere in it. */
  holds(directory: DirectoryNode, inner: DirectoryNode): boolean {
    if (directory === inner) return true;
    const children = [...directory.entries.values()];
    return children.some((child) => child.kind === "directory" && this.holds(child, inner));
  }

  /** Gives a free or taken name to the node. */
  add({ directory, name }: Place, node: DiskNode): void {
    this.#change(directory, { moment: ++this.#moment, removes: null, adds: [name, node] });
  }

  remove({ directory, name }: Place): void {
    this.#change(directory, { moment: ++this.#moment, removes: name, adds: null });
  }

  move(from: Place, to: Place, node: DiskNode): void {
    const moment = ++this.#moment;
    const adds = [to.name, node] as const;
    if (from.directory === to.directory) {
      this.#change(to.directory, { moment, removes: from.name, adds });
      return;
    }
    this.#change(to.directory, { moment, removes: null, adds });
    this.#change(from.directory, { moment, removes: from.name, adds: null });
  }

  /** Makes the directory's names durable, and the other side of what was moved in or out. */
  sync(directory: DirectoryNode): void {
    const moments = new Set(directory.changes.map(({ moment }) => moment));
    for (const other of this.#unsynced) {
      for (const change of other.changes) {
        if (moments.has(change.moment)) applyChange(other.durable, change);
      }
      other.changes = other.changes.filter(({ moment }) => !moments.has(moment));
      if (other.changes.length === 0) this.#unsynced.delete(other);
    }
  }

  /** Directories that exist, then and for ever. */
  plantDirectory(path: string): DirectoryNode {
    let directory = this.root;
    for (const part of posix.resolve("/", path).split("/").filter(Boolean)) {
      const found = directory.entries.get(part);
      const next = found?.kind === "directory" ? found : newDirectory();
      directory.entries.set(part, next);
      directory.durable.set(part, next);
      directory = next;
    }
    return directory;
  }

  /** What is there after the power was lost. */
  afterCrash(style: CrashStyle): Names {
    const survives = this.#survivors(style.random);
    const copies = new Map<FileNode, FileNode>();
    const copyInto = (target: DirectoryNode, source: DirectoryNode): DirectoryNode => {
      const names = new Map(source.durable);
      const kept = source.changes.filter(({ moment }) => survives(moment));
      for (const change of kept) applyChange(names, change);
      for (const [name, node] of names) {
        const own =
          node.kind === "directory"
            ? copyInto(newDirectory(), node)
            : leafAfterCrash(node, style, copies);
        target.entries.set(name, own);
        target.durable.set(name, own);
      }
      return target;
    };
    const after = new Names();
    copyInto(after.root, this.root);
    return after;
  }

  /** The same names and files, with what is not synced yet. */
  copy(): Names {
    const copies = new Map<DiskNode, DiskNode>();
    const after = new Names();
    copies.set(this.root, after.root);
    const copyOf = (node: DiskNode): DiskNode => {
      const known = copies.get(node);
      if (known !== undefined) return known;
      const made = node.kind === "directory" ? newDirectory() : copyOfLeaf(node);
      copies.set(node, made);
      if (made.kind === "directory" && node.kind === "directory") fill(made, node);
      return made;
    };
    const fill = (target: DirectoryNode, source: DirectoryNode): void => {
      for (const [name, node] of source.entries) {
        const own = copyOf(node);
        if (own.kind === "file") own.users++;
        target.entries.set(name, own);
      }
      for (const [name, node] of source.durable) target.durable.set(name, copyOf(node));
      target.changes = source.changes.map((change) => ({
        ...change,
        adds: change.adds === null ? null : [change.adds[0], copyOf(change.adds[1])],
      }));
      if (target.changes.length > 0) after.#unsynced.add(target);
    };
    fill(after.root, this.root);
    after.#moment = this.#moment;
    return after;
  }

  #change(directory: DirectoryNode, change: NameChange): void {
    applyChange(directory.entries, change);
    directory.changes.push(change);
    this.#unsynced.add(directory);
  }

  /** Which changes a crash keeps: none, all, those before some moment, or any of them. */
  #survivors(random: Random | undefined): (moment: number) => boolean {
    if (random === undefined) return () => false;
    const pick = random.integer(4);
    if (pick === 0) return () => false;
    if (pick === 1) return () => true;
    const oldest = [...this.#unsynced].flatMap(({ changes }) => changes[0]?.moment ?? []);
    const first = Math.min(this.#moment, ...oldest);
    const last = first + random.integer(this.#moment - first + 2);
    if (pick === 2) return (moment) => moment < last;
    const drawn = new Map<number, boolean>();
    return (moment) => {
      const kept = drawn.get(moment) ?? random.integer(2) === 1;
      drawn.set(moment, kept);
      return kept;
    };
  }
}

function leafAfterCrash(
  node: FileNode | LinkNode,
  style: CrashStyle,
  copies: Map<FileNode, FileNode>,
): FileNode | LinkNode {
  if (node.kind === "link") return node;
  const made = copies.get(node) ?? newFile(node.permissions, node.pages.afterCrash(style));
  copies.set(node, made);
  made.users++;
  return made;
}

function copyOfLeaf(node: FileNode | LinkNode): FileNode | LinkNode {
  if (node.kind === "link") return node;
  return newFile(node.permissions, node.pages.copy());
}
