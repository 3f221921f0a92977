/**
 * Names as one thread uses them: gives them to the actors it spawns, and makes references that look
 * up where a name leads when something is sent. Actors of the tree keep their names for ever and
 * are not looked up.
 */
import { EsperError } from "../../protocols/errors.ts";
import type { MessageMap, Protocol } from "../../protocols/protocol.ts";
import { type CompiledProtocol, compileProtocol } from "../wire/protocol-table.ts";
import { slotOf, threadOf } from "./address.ts";
import type { Cell } from "./cell.ts";
import { type NamedPlace, NameTable, taken } from "./names.ts";
import type { Post } from "./post.ts";
import { NamedRef, Ref } from "./refs.ts";

/** What the registry needs of its host. */
export interface RegistryParts {
  readonly threadId: number;
  readonly memory: SharedArrayBuffer;
  post(): Post;
  cellAt(slot: number): Cell | undefined;
  /** Makes the actor reachable from other threads. @throws {NOT_TRANSFERABLE} */
  export(cell: Cell): void;
  isInTree(name: string): boolean;
  /** @throws {PROTOCOL_MISMATCH} */
  refInTree(protocol: Protocol<MessageMap>, name: string, from: number): Ref;
}

export class Registry {
  readonly #parts: RegistryParts;
  readonly #table: NameTable;
  readonly #rows = new Map<Cell, number>();
  /** A name that waits for the actor that is being made. */
  #claimed: { readonly name: string; readonly row: number } | null = null;

  constructor(parts: RegistryParts) {
    this.#parts = parts;
    this.#table = new NameTable(parts.memory);
  }

  /** Runs `spawn`, which makes an actor of this name. @throws {NAME_TAKEN} @throws {ACTOR_LIMIT} */
  spawnAs(name: string, spawn: () => Cell): Cell {
    const { isInTree, threadId } = this.#parts;
    if (isInTree(name)) throw taken(name);
    const claimed = { name, row: this.#table.claim(name, threadId) };
    this.#claimed = claimed;
    try {
      return spawn();
    } finally {
      // Nobody took it: the actor was not made.
      if (this.#claimed === claimed) this.#table.release(claimed.row);
      this.#claimed = null;
    }
  }

  /** Gives a new actor the name that waits for it, before it starts. @throws {NOT_TRANSFERABLE} */
  adopt(cell: Cell): void {
    const claimed = this.#claimed;
    if (claimed === null || claimed.name !== cell.name) return;
    this.#parts.export(cell);
    this.#claimed = null;
    this.#rows.set(cell, claimed.row);
    const { fingerprint } = compileProtocol(cell.definition.protocol);
    this.#table.bind(claimed.row, cell.address, cell.generation, fingerprint);
  }

  /** The actor is gone; its name is free. */
  release(cell: Cell): void {
    const row = this.#rows.get(cell);
    if (row === undefined) return;
    this.#rows.delete(cell);
    this.#table.release(row);
  }

  /** @throws {PROTOCOL_MISMATCH} at once for an actor of the tree, else when something is sent. */
  ref(protocol: Protocol<MessageMap>, name: string, from: number): Ref | NamedRef {
    const { isInTree, refInTree } = this.#parts;
    if (isInTree(name)) return refInTree(protocol, name, from);
    const nobody = refInTree(protocol, name, from);
    let known: { readonly place: NamedPlace; readonly ref: Ref } | null = null;
    return new NamedRef(name, () => {
      if (known !== null && this.#table.isCurrent(known.place.row, known.place.version)) {
        return known.ref;
      }
      const place = this.#table.find(name);
      if (place === null) return nobody;
      const ref = this.#refTo(place, name, compileProtocol(protocol), from);
      known = { place, ref };
      return ref;
    });
  }

  /** For messages to people. */
  names(): readonly string[] {
    return this.#table.list();
  }

  #refTo(place: NamedPlace, name: string, protocol: CompiledProtocol, from: number): Ref {
    const { address, generation, fingerprint } = place;
    if (fingerprint !== protocol.fingerprint) {
      const text = `${name} does not understand the protocol ${protocol.name}, or not in this form`;
      throw new EsperError("PROTOCOL_MISMATCH", text, { actor: name, protocol: protocol.name });
    }
    const threadId = threadOf(address);
    const slot = slotOf(address);
    const local = threadId === this.#parts.threadId ? this.#parts.cellAt(slot) : undefined;
    const cell = local?.generation === generation ? local : null;
    return new Ref(
      this.#parts.post(),
      protocol,
      { name, threadId, slot, generation, cell },
      from,
      true,
    );
  }
}
