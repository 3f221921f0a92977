/** The actors of one thread by their slot. A slot is used again, with another generation. */
import { EsperError, invariant } from "../../protocols/errors.ts";
import { addressOf, MAX_SLOTS, slotOf, threadOf } from "./address.ts";
import { Cell } from "./cell.ts";
import type { CellOwner, CellServices, LoadedActor } from "./cell-parts.ts";
import type { Credits } from "./credits.ts";
import { THREAD_GENERATION } from "./notices.ts";
import type { HostSeed, Route } from "./wire.ts";

/** Generations of one start of a thread; the next start uses others. */
const GENERATIONS = 2 ** 16;
const EPOCHS = 2 ** 14;

export interface CellsParts {
  readonly seed: HostSeed;
  readonly credits: Credits;
  /** The name of an actor of another thread. */
  readonly nameOfRoute: (address: number) => string;
}

export class Cells {
  readonly #seed: HostSeed;
  readonly #credits: Credits;
  readonly #nameOfRoute: (address: number) => string;
  readonly #slots: (Cell | undefined)[];
  readonly #free: number[] = [];
  readonly #byName = new Map<string, Cell>();
  #generation = 0;
  #services: CellServices | null = null;

  constructor({ seed, credits, nameOfRoute }: CellsParts) {
    this.#seed = seed;
    this.#credits = credits;
    this.#nameOfRoute = nameOfRoute;
    const own = seed.routes.filter(({ thread }) => thread === seed.thread);
    this.#slots = new Array(own.length + 1).fill(undefined);
  }

  get services(): CellServices {
    invariant(this.#services !== null, "the services are set before the first cell");
    return this.#services;
  }

  set services(services: CellServices) {
    this.#services = services;
  }

  at(slot: number): Cell | undefined {
    return this.#slots[slot];
  }

  named(name: string): Cell | undefined {
    return this.#byName.get(name);
  }

  tree(): Iterable<Cell> {
    return this.#byName.values();
  }

  all(): Cell[] {
    return this.#slots.filter((cell): cell is Cell => cell !== undefined);
  }

  /** One more than the highest slot ever used. */
  get end(): number {
    return this.#slots.length;
  }

  /** Actors in this thread now. */
  get count(): number {
    return this.#slots.length - 1 - this.#free.length;
  }

  addTree(actor: LoadedActor, owner: CellOwner, { slot, index, ...policy }: Route): Cell {
    const mailbox = { capacity: policy.capacity, overflow: policy.overflow };
    const place = { address: addressOf(this.#seed.threadId, slot), slot, generation: 0 };
    const family = { parent: null, index, exported: !policy.direct, mailbox };
    const cell = new Cell(this.services, owner, actor, { ...place, ...family });
    // The places of messages that stay in their rings are counted from one start to the next.
    if (!policy.direct) this.#credits.open(slot, mailbox);
    this.#slots[slot] = cell;
    this.#byName.set(actor.name, cell);
    return cell;
  }

  /** The thread itself, as a receiver of messages. */
  addThread(actor: LoadedActor, owner: CellOwner): Cell {
    const { mailbox } = actor.definition;
    const address = addressOf(this.#seed.threadId, 0);
    const place = { address, slot: 0, generation: THREAD_GENERATION };
    const family = { parent: null, index: -1, exported: true, mailbox };
    const cell = new Cell(this.services, owner, actor, { ...place, ...family });
    this.#credits.open(0, mailbox);
    this.#slots[0] = cell;
    return cell;
  }

  /** @throws {ACTOR_LIMIT} */
  add(actor: LoadedActor, owner: CellOwner, parent: Cell | null): Cell {
    const slot = this.#free.pop() ?? this.#slots.length;
    if (slot > MAX_SLOTS) {
      const text = `the thread ${this.#seed.thread} holds ${MAX_SLOTS} actors, the most it can`;
      throw new EsperError("ACTOR_LIMIT", text, { thread: this.#seed.thread, limit: MAX_SLOTS });
    }
    this.#generation = (this.#generation + 1) % GENERATIONS;
    const generation = 1 + (this.#seed.epoch % EPOCHS) * GENERATIONS + this.#generation;
    const { mailbox } = actor.definition;
    const address = addressOf(this.#seed.threadId, slot);
    const place = { address, slot, generation, parent, index: -1, exported: false, mailbox };
    const cell = new Cell(this.services, owner, actor, place);
    this.#slots[slot] = cell;
    return cell;
  }

  remove(cell: Cell): void {
    if (this.#slots[cell.slot] !== cell) return;
    this.#slots[cell.slot] = undefined;
    if (cell.exported) this.#credits.close(cell.slot);
    this.#free.push(cell.slot);
  }

  /** Other threads may send to the actor from now on. @throws {NOT_TRANSFERABLE} */
  export(cell: Cell): void {
    if (cell.isShared) return;
    const alone = this.#seed.routes.find(({ thread }) => thread === this.#seed.thread);
    if (alone?.direct) {
      const why = `its thread belongs to ${alone.name}, whose mailbox is of the kind "ring"`;
      const text = `${cell.name} cannot be reached from other threads: ${why}`;
      throw new EsperError("NOT_TRANSFERABLE", text, { actor: cell.name });
    }
    if (cell.slot >= this.#credits.rows) {
      const { rows } = this.#credits;
      const why = `only the first ${rows} actors of a thread can`;
      const text = `${cell.name} cannot be reached from other threads: ${why}`;
      throw new EsperError("NOT_TRANSFERABLE", text, { actor: cell.name });
    }
    const { mailbox, policy } = cell;
    const urgent = mailbox.depth(0) + mailbox.depth(1);
    const casts = countOpenCasts(cell);
    this.#credits.open(cell.slot, policy, urgent, mailbox.size - urgent, casts);
    cell.exported = true;
    cell.hasTies = true;
  }

  nameOf(address: number): string {
    if (threadOf(address) !== this.#seed.threadId) return this.#nameOfRoute(address);
    const slot = slotOf(address);
    if (slot === 0) return this.#seed.thread;
    return this.#slots[slot]?.name ?? `${this.#seed.thread}/${slot}`;
  }
}

/** Casts that were taken and have no end yet. */
function countOpenCasts({ hand, active, mailbox }: Cell): number {
  const held = [...hand.stashed, ...(active === null ? [] : [active])];
  let casts = held.filter(({ caller }) => caller === null).length;
  mailbox.forEach(({ caller }) => {
    if (caller === null) casts += 1;
  });
  return casts;
}
