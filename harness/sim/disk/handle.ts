/** An open file of the simulated disk: where writes come short, land elsewhere or are forgotten. */
import type { DiskHandle, DiskStat, Random } from "esper-runtime";
import type { DiskCall, DiskFault, DiskOperation } from "./faults.ts";
import { type DiskNode, type FileNode, systemError } from "./names.ts";

/** What the disk lets its handles do. */
export interface Backstage {
  readonly random: Random;
  /** Counts the call and asks what becomes of it. */
  call(call: Omit<DiskCall, "index">): Promise<DiskFault | null>;
  /** Bytes that all files together may still grow by. */
  room(): number;
  /** Files have grown by so many bytes, or shrunk. */
  grow(bytes: number): void;
  fileAt(path: string): FileNode;
  /** A sync succeeded; `believed` when one that failed before gave up bytes of the file. */
  synced(path: string, believed: boolean): void;
  closed(node: DiskNode): void;
}

/** What the system tells of a node. */
export function statOf(node: DiskNode): DiskStat {
  if (node.kind !== "file") return { kind: node.kind, size: 0, modifiedMs: 0 };
  const { pages, permissions } = node;
  return { kind: "file", size: pages.size, modifiedMs: 0, permissions };
}

/** These are told before anything was done. */
const UNTOUCHED: ReadonlySet<string> = new Set(["EINTR", "EAGAIN", "EMFILE"]);

export class SimulatedHandle implements DiskHandle {
  readonly #path: string;
  readonly #node: DiskNode;
  readonly #disk: Backstage;
  #open = true;

  constructor(path: string, node: DiskNode, disk: Backstage) {
    this.#path = path;
    this.#node = node;
    this.#disk = disk;
  }

  async read(target: Uint8Array, offset: number): Promise<number> {
    const fault = await this.#call("read", { offset, bytes: target.byteLength });
    if (typeof fault === "string") throw systemError(fault, "read", this.#path);
    const { pages } = this.#file("read");
    const wanted = fault?.kind === "short" ? Math.min(fault.bytes, target.length) : target.length;
    const found = pages.read(offset, offset + wanted);
    target.set(found);
    return found.byteLength;
  }

  async write(bytes: Uint8Array, offset: number): Promise<number> {
    const fault = await this.#call("write", { offset, bytes: bytes.byteLength });
    const node = this.#file("write");
    if (typeof fault === "string") {
      const part = UNTOUCHED.has(fault) ? 0 : this.#disk.random.integer(bytes.byteLength + 1);
      this.#store(node, bytes.subarray(0, part), offset);
      throw systemError(fault, "write", this.#path);
    }
    if (fault?.kind === "misdirect") {
      const other = fault.path === undefined ? node : this.#disk.fileAt(fault.path);
      this.#store(other, bytes, fault.offset);
      return bytes.byteLength;
    }
    const given = fault === null ? bytes : bytes.subarray(0, fault.bytes);
    const written = this.#store(node, given, offset);
    if (written === 0 && bytes.byteLength > 0) throw systemError("ENOSPC", "write", this.#path);
    return written;
  }

  async truncate(size: number): Promise<void> {
    await this.#pass("truncate");
    const { pages } = this.#file("truncate");
    const growth = size - pages.size;
    if (growth > this.#disk.room()) throw systemError("ENOSPC", "truncate", this.#path);
    pages.truncate(size);
    this.#disk.grow(growth);
  }

  async stat(): Promise<DiskStat> {
    await this.#pass("stat");
    return statOf(this.#node);
  }

  async datasync(): Promise<void> {
    const fault = await this.#call("fsync");
    const { pages } = this.#file("fsync");
    if (typeof fault === "string") {
      pages.failSync(this.#disk.random);
      throw systemError(fault, "fsync", this.#path);
    }
    this.#disk.synced(this.#path, pages.sync());
  }

  async close(): Promise<void> {
    const fault = await this.#call("close");
    this.#open = false;
    this.#disk.closed(this.#node);
    if (typeof fault === "string") throw systemError(fault, "close", this.#path);
  }

  async #call(
    operation: DiskOperation,
    range?: NonNullable<DiskCall["range"]>,
  ): Promise<DiskFault | null> {
    const call = { operation, path: this.#path };
    const fault = await this.#disk.call(range === undefined ? call : { ...call, range });
    if (!this.#open) throw systemError("EBADF", operation, this.#path);
    return fault;
  }

  async #pass(operation: DiskOperation): Promise<void> {
    const fault = await this.#call(operation);
    if (typeof fault === "string") throw systemError(fault, operation, this.#path);
  }

  #file(operation: string): FileNode {
    if (this.#node.kind === "file") return this.#node;
    throw systemError("EISDIR", operation, this.#path);
  }

  /** As much as there is room for. */
  #store({ pages }: FileNode, bytes: Uint8Array, offset: number): number {
    const before = pages.size;
    const fits = Math.max(before, before + this.#disk.room()) - offset;
    const given = bytes.subarray(0, Math.max(0, Math.min(bytes.byteLength, fits)));
    pages.write(given, offset);
    this.#disk.grow(pages.size - before);
    return given.byteLength;
  }
}
