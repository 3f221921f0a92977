/**
 * A disk in memory with the guarantees of a real one and no more: bytes survive a crash only after
 * a sync of the file, names only after a sync of the directory, and any call can be made to fail.
 * One seed gives one behaviour. `crash` and `killed` leave this disk as it is and return another.
 */
import type { Disk, DiskHandle, DiskStat, OpenMode, Random } from "esper-runtime";
import {
  type DiskCall,
  type DiskFault,
  type DiskOperation,
  type FaultPlan,
  NO_FAULTS,
} from "./faults.ts";
import { type Backstage, SimulatedHandle, statOf } from "./handle.ts";
import {
  type DiskNode,
  type FileNode,
  Names,
  newDirectory,
  newFile,
  type Place,
  systemError,
} from "./names.ts";
import { type CrashStyle, Pages } from "./pages.ts";

export interface SimulatedDiskOptions {
  /** Decides what a failed call leaves behind. */
  readonly random: Random;
  /** Bytes of all files together. Default: no limit. */
  readonly capacityBytes?: number;
  readonly faults?: FaultPlan;
  /** So many turns of the event loop's promises pass before a call answers. Default 0. */
  readonly turns?: () => number;
}

/** The newest calls that are kept for people to read. */
const TRACE_MAX = 20_000;

export class SimulatedDisk implements Disk {
  /** May be replaced at any time. */
  faults: FaultPlan;
  /** Bytes of all files together; may be changed at any time. */
  capacityBytes: number;
  /** Calls so far, failed ones included. */
  calls = 0;
  openHandles = 0;
  /** `operation path` of every call, the newest ones. */
  readonly trace: string[] = [];
  /** Files whose sync succeeded although bytes are missing that a failed one gave up. */
  readonly believedSyncs: string[] = [];
  readonly #random: Random;
  readonly #turns: () => number;
  readonly #backstage: Backstage;
  #names = new Names();
  #used = 0;

  constructor(options: SimulatedDiskOptions) {
    this.#random = options.random;
    this.capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY;
    this.faults = options.faults ?? NO_FAULTS;
    this.#turns = options.turns ?? (() => 0);
    this.#backstage = this.#openBackstage();
  }

  /** What a machine finds after the power came back. */
  crash(style: CrashStyle = {}): SimulatedDisk {
    return this.#successor(this.#names.afterCrash(style));
  }

  /** What a new process finds after this one was killed: the page cache is still there. */
  killed(): SimulatedDisk {
    return this.#successor(this.#names.copy());
  }

  /** Puts a file there, durably, with its directories. */
  plantFile(path: string, bytes: Uint8Array): void {
    this.#plant(path, newFile(0o644, Pages.holding(bytes)));
  }

  plantLink(path: string, target: string): void {
    this.#plant(path, { kind: "link", target });
  }

  plantDirectory(path: string): void {
    this.#names.plantDirectory(path);
  }

  /** The bytes as a program would read them. */
  bytes(path: string): Uint8Array {
    const { pages } = this.#file(path, "read");
    return pages.read(0, pages.size);
  }

  /** Every file and link by path, as a program would find them. */
  contents(): Map<string, Uint8Array | { readonly target: string }> {
    const found = new Map<string, Uint8Array | { readonly target: string }>();
    const walk = (path: string, node: DiskNode): void => {
      if (node.kind === "file") found.set(path, node.pages.read(0, node.pages.size));
      else if (node.kind === "link") found.set(path, { target: node.target });
      else for (const [name, child] of node.entries) walk(`${path}/${name}`, child);
    };
    walk("", this.#names.root);
    return found;
  }

  /** Stored bytes go bad: these bits of the byte at `offset` change. */
  rot(path: string, offset: number, mask: number): void {
    this.#file(path, "read").pages.flip(offset, mask);
  }

  async open(path: string, mode: OpenMode, permissions: number): Promise<DiskHandle> {
    await this.#pass("open", path);
    const place = this.#names.find(path, "open", mode !== "create");
    const { node } = place;
    if (mode === "create" && node !== undefined) throw systemError("EEXIST", "open", path);
    if (mode === "read" && node === undefined) throw systemError("ENOENT", "open", path);
    if (mode === "write" && node?.kind === "directory") throw systemError("EISDIR", "open", path);
    const made = node ?? newFile(permissions);
    if (node === undefined) this.#give(place, made);
    if (made.kind === "file") made.users++;
    this.openHandles++;
    return new SimulatedHandle(path, made, this.#backstage);
  }

  async stat(path: string): Promise<DiskStat> {
    await this.#pass("stat", path);
    return statOf(this.#names.need(path, "stat"));
  }

  async lstat(path: string): Promise<DiskStat> {
    await this.#pass("stat", path);
    return statOf(this.#names.need(path, "stat", false));
  }

  async list(path: string): Promise<string[]> {
    await this.#pass("list", path);
    const node = this.#names.need(path, "list");
    if (node.kind !== "directory") throw systemError("ENOTDIR", "list", path);
    return [...node.entries.keys()];
  }

  async makeDirectory(path: string): Promise<void> {
    await this.#pass("create directory", path);
    this.#names.add(this.#free(path, "create directory"), newDirectory());
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#pass("rename", from);
    const source = this.#names.find(from, "rename", false);
    const target = this.#names.find(to, "rename", false);
    const { node } = source;
    if (node === undefined) throw systemError("ENOENT", "rename", from);
    if (node === target.node) return;
    if (node.kind === "directory" && this.#names.holds(node, target.directory)) {
      throw systemError("EINVAL", "rename", to);
    }
    this.#refuseReplacing(source, target, to);
    this.#drop(target.node);
    this.#names.move(source, target, node);
  }

  async remove(path: string): Promise<void> {
    await this.#pass("remove", path);
    const place = this.#names.find(path, "remove", false);
    if (place.node === undefined) throw systemError("ENOENT", "remove", path);
    if (place.node.kind === "directory") throw systemError("EISDIR", "remove", path);
    this.#names.remove(place);
    this.#drop(place.node);
  }

  async removeDirectory(path: string): Promise<void> {
    await this.#pass("remove directory", path);
    const place = this.#names.find(path, "remove directory", false);
    const { node } = place;
    if (node === undefined) throw systemError("ENOENT", "remove directory", path);
    if (node.kind !== "directory") throw systemError("ENOTDIR", "remove directory", path);
    if (node.entries.size > 0) throw systemError("ENOTEMPTY", "remove directory", path);
    this.#names.remove(place);
  }

  async link(existing: string, created: string): Promise<void> {
    await this.#pass("link", created);
    const node = this.#names.need(existing, "link", false);
    const place = this.#free(created, "link");
    if (node.kind === "directory") throw systemError("EPERM", "link", existing);
    this.#give(place, node);
  }

  async symlink(target: string, path: string): Promise<void> {
    await this.#pass("symlink", path);
    this.#give(this.#free(path, "symlink"), { kind: "link", target });
  }

  async readLink(path: string): Promise<string> {
    await this.#pass("read link", path);
    const node = this.#names.need(path, "read link", false);
    if (node.kind !== "link") throw systemError("EINVAL", "read link", path);
    return node.target;
  }

  async syncDirectory(path: string): Promise<void> {
    await this.#pass("fsync directory", path);
    const node = this.#names.need(path, "fsync directory");
    if (node.kind !== "directory") throw systemError("ENOTDIR", "fsync directory", path);
    this.#names.sync(node);
  }

  async freeBytes(path: string): Promise<number> {
    await this.#pass("free bytes", path);
    this.#names.need(path, "free bytes");
    return Math.min(Number.MAX_SAFE_INTEGER, this.capacityBytes - this.#used);
  }

  #openBackstage(): Backstage {
    return {
      random: this.#random,
      call: (call) => this.#call(call),
      room: () => this.capacityBytes - this.#used,
      grow: (bytes) => {
        this.#used += bytes;
      },
      fileAt: (path) => this.#file(path, "write"),
      synced: (path, believed) => {
        if (believed) this.believedSyncs.push(path);
      },
      closed: (node) => {
        this.openHandles--;
        this.#drop(node);
      },
    };
  }

  /** Counts the call and asks what becomes of it. */
  async #call(call: Omit<DiskCall, "index">): Promise<DiskFault | null> {
    this.calls++;
    this.trace.push(`${call.operation} ${call.path}`);
    if (this.trace.length > TRACE_MAX) this.trace.splice(0, TRACE_MAX / 2);
    const fault = this.faults({ ...call, index: this.calls });
    for (let left = this.#turns(); left > 0; left--) await null;
    return fault;
  }

  async #pass(operation: DiskOperation, path: string): Promise<void> {
    const fault = await this.#call({ operation, path });
    if (typeof fault === "string") throw systemError(fault, operation, path);
  }

  #successor(names: Names): SimulatedDisk {
    const after = new SimulatedDisk({
      random: this.#random,
      capacityBytes: this.capacityBytes,
      turns: this.#turns,
    });
    after.#names = names;
    const counted = new Set<DiskNode>();
    const count = (node: DiskNode): void => {
      if (node.kind === "directory") for (const child of node.entries.values()) count(child);
      if (node.kind !== "file" || counted.has(node)) return;
      counted.add(node);
      after.#used += node.pages.size;
    };
    count(names.root);
    return after;
  }

  #plant(path: string, node: FileNode | { kind: "link"; target: string }): void {
    const name = path.slice(path.lastIndexOf("/") + 1);
    const directory = this.#names.plantDirectory(path.slice(0, -name.length) || "/");
    const old = directory.entries.get(name);
    if (node.kind === "file") {
      node.users++;
      this.#used += node.pages.size;
    }
    directory.entries.set(name, node);
    directory.durable.set(name, node);
    this.#drop(old);
  }

  #file(path: string, operation: string): FileNode {
    const node = this.#names.need(path, operation);
    if (node.kind !== "file") throw systemError("EISDIR", operation, path);
    return node;
  }

  #free(path: string, operation: string): Place {
    const place = this.#names.find(path, operation, false);
    if (place.node !== undefined) throw systemError("EEXIST", operation, path);
    return place;
  }

  #give(place: Place, node: DiskNode): void {
    if (node.kind === "file") node.users++;
    this.#names.add(place, node);
  }

  /** One user fewer; without any, its room is free again. */
  #drop(node: DiskNode | undefined): void {
    if (node?.kind !== "file") return;
    node.users--;
    if (node.users === 0) this.#used -= node.pages.size;
  }

  #refuseReplacing({ directory, node }: Place, { node: old }: Place, to: string): void {
    if (old?.kind !== "directory") {
      if (old === undefined || node?.kind !== "directory") return;
      throw systemError("ENOTDIR", "rename", to);
    }
    if (this.#names.holds(old, directory)) throw systemError("ENOTEMPTY", "rename", to);
    if (node?.kind !== "directory") throw systemError("EISDIR", "rename", to);
    if (old.entries.size > 0) throw systemError("ENOTEMPTY", "rename", to);
  }
}
