/**
 * What cannot travel in a ring: a buffer that is given away, shared memory, a body beyond the
 * largest slab slot. It is posted through a port before the frame that names it, so the receiver
 * finds it there without waiting.
 */
import { EsperError } from "../../protocols/errors.ts";
import type { SlabBorrower } from "../wire/slab.ts";
import type { ArenaMemory } from "../wire/slab-arena.ts";

export type Parcel =
  | { readonly kind: "payload"; readonly id: number; readonly value: unknown }
  | { readonly kind: "arena"; readonly arena: ArenaMemory }
  | { readonly kind: "arena-retired"; readonly arena: ArenaMemory };

/** One direction-less end of the parcel channel of a link. */
export interface ParcelPort {
  /** @throws DataCloneError when the parcel cannot cross threads. */
  post(parcel: Parcel, transfer: readonly ArrayBuffer[]): void;
  /** The next parcel that has arrived; never waits. */
  take(): Parcel | undefined;
  close(): void;
}

/** Parcels that wait for the replacement of the thread that receives them. */
const MAX_WAITING = 1_024;

/** The sending side numbers its parcels. */
export class ParcelSender {
  #port: ParcelPort;
  /** Null while there is a thread to receive. */
  #waiting: Parcel[] | null = null;
  readonly #announced = new Set<SharedArrayBuffer>();
  #nextId = 1;

  constructor(port: ParcelPort) {
    this.#port = port;
  }

  /** @throws {NOT_TRANSFERABLE} */
  send(value: unknown, transfer: readonly ArrayBuffer[]): number {
    const id = this.#nextId;
    this.#nextId = (this.#nextId + 1) | 0;
    try {
      if (this.#waiting === null) this.#port.post({ kind: "payload", id, value }, transfer);
      else this.#hold(id, value, transfer);
    } catch (error) {
      if (!isCloneError(error)) throw error;
      const text = `the payload cannot cross threads: ${error.message}`;
      throw new EsperError("NOT_TRANSFERABLE", text, {}, error);
    }
    return id;
  }

  /** The receiver is over; parcels for its replacement wait here. */
  suspend(): void {
    this.#waiting ??= [];
    this.#announced.clear();
  }

  /** The replacement is there. What had been posted before the suspension is lost. */
  resume(port: ParcelPort, arenas: readonly ArenaMemory[]): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    this.#port = port;
    this.announce(arenas);
    for (const parcel of waiting) port.post(parcel, []);
  }

  /** A buffer that is given away leaves its owner now, though it travels later. */
  #hold(id: number, value: unknown, transfer: readonly ArrayBuffer[]): void {
    const waiting = this.#waiting as Parcel[];
    if (waiting.length >= MAX_WAITING) {
      const text = `${MAX_WAITING} parcels wait for the receiver's thread, which is being replaced`;
      throw new EsperError("ACTOR_RESTARTING", text);
    }
    const held = structuredClone(value, { transfer: [...transfer] });
    waiting.push({ kind: "payload", id, value: held });
  }

  /** The receiver must know every arena before it reads a handle into one. */
  announce(arenas: readonly ArenaMemory[]): void {
    if (this.#waiting !== null) return;
    for (const arena of arenas) {
      if (this.#announced.has(arena.memory)) continue;
      this.#announced.add(arena.memory);
      this.#port.post({ kind: "arena", arena }, []);
    }
  }

  /** The receiver can let go of an arena's memory. */
  retire(arena: ArenaMemory): void {
    if (this.#announced.delete(arena.memory)) this.#port.post({ kind: "arena-retired", arena }, []);
  }
}

/** Parcels held for frames that were not yet read; more are a broken sender. */
const MAX_HELD = 8_192;

/** The receiving side finds a parcel by its number. */
export class ParcelReceiver {
  readonly #port: ParcelPort;
  readonly #held = new Map<number, unknown>();
  readonly #slab: SlabBorrower;

  constructor(port: ParcelPort, slab: SlabBorrower) {
    this.#port = port;
    this.#slab = slab;
  }

  /** @throws {FRAME_MALFORMED} when there is no such parcel. */
  take(id: number): unknown {
    this.pull();
    if (!this.#held.has(id)) {
      throw new EsperError("FRAME_MALFORMED", `the frame names parcel ${id}, which is not there`);
    }
    const value = this.#held.get(id);
    this.#held.delete(id);
    return value;
  }

  /** Reads what has arrived. */
  pull(): void {
    for (let parcel = this.#port.take(); parcel !== undefined; parcel = this.#port.take()) {
      if (parcel.kind === "arena") this.#slab.addArena(parcel.arena);
      else if (parcel.kind === "arena-retired") this.#slab.retireArena(parcel.arena);
      else if (this.#held.size < MAX_HELD) this.#held.set(parcel.id, parcel.value);
    }
  }
}

/** True for the error by which the platform says that a value cannot cross threads. */
export function isCloneError(error: unknown): error is Error {
  return error instanceof Error && error.name === "DataCloneError";
}
