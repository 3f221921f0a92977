/**
 * The actors that actors start, all in their parent's thread. A child that fails is restarted at
 * once by its own policy, without asking another thread; one that fails too often crashes its
 * parent. Children end before their parent, the youngest first.
 */
import { EsperError } from "../../protocols/errors.ts";
import type { AnyActorDefinition, DownReason } from "../actor.ts";
import type { Clock } from "../clock.ts";
import { restartDelayMs } from "../restart-window.ts";
import type { Cell } from "./cell.ts";
import { type CellOwner, Failures, type LoadedActor } from "./cell-parts.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { childrenOf, joinFamily, leaveFamily } from "./siblings.ts";

/** What the spawner needs of its host. */
export interface SpawnerParts {
  readonly clock: Clock;
  draw(): number;
  life(): Lifecycle;
  /** @throws {ACTOR_LIMIT} */
  addCell(actor: LoadedActor, owner: CellOwner, parent: Cell | null): Cell;
  /** `error` is the last failure of an actor that did not end by itself. */
  removeCell(cell: Cell, reason: DownReason, error: unknown): void;
  onRestarted(cell: Cell, tookMs: number): void;
  /** A child without a parent failed too often. */
  onGaveUp(cell: Cell, error: EsperError): void;
}

/** A name costs memory; most children are never named to anybody. */
class SpawnedActor implements LoadedActor {
  readonly definition: AnyActorDefinition;
  readonly config: unknown;
  readonly #name: number | string;

  constructor(definition: AnyActorDefinition, config: unknown, name: number | string) {
    this.definition = definition;
    this.config = config;
    this.#name = name;
  }

  get name(): string {
    const name = this.#name;
    return typeof name === "string" ? name : `${this.definition.protocol.name}#${name}`;
  }
}

export class Spawner implements CellOwner {
  readonly #parts: SpawnerParts;
  /** Who waits for the end of an actor; nobody, of most. */
  readonly #ending = new Map<Cell, (() => void)[]>();
  #count = 0;

  constructor(parts: SpawnerParts) {
    this.#parts = parts;
  }

  /** @throws {CONFIG_INVALID} @throws {ACTOR_LIMIT} */
  spawn(
    parent: Cell | null,
    definition: AnyActorDefinition,
    config: unknown,
    name: string | null,
  ): Cell {
    this.#count += 1;
    const known = name ?? this.#count;
    const actor = new SpawnedActor(definition, checked(definition, config), known);
    const cell = this.#parts.addCell(actor, this, parent);
    joinFamily(cell);
    this.#parts.life().start(cell, 1);
    return cell;
  }

  /** An actor with nothing to wait for is gone on return. */
  stop(cell: Cell): void {
    if (cell.isLeaving || cell.state === "stopped") return;
    cell.isLeaving = true;
    this.#parts.life().stop(cell, true, cell.definition.supervision.shutdownMs);
  }

  /** One after the other, the youngest first; null when all are gone on return. */
  stopChildren(parent: Cell): Promise<void> | null {
    if (parent.youngest === null) return null;
    const children = childrenOf(parent);
    for (const [at, child] of children.entries()) {
      this.stop(child);
      if (child.state !== "stopped") return this.#stopRest(child, children.slice(at + 1));
    }
    return null;
  }

  started(): void {
    // Nobody waits: what is sent to a starting actor waits in its mailbox.
  }

  failed(cell: Cell, error: unknown): void {
    if (cell.isLeaving) return;
    const { restart, intensity, periodMs } = cell.definition.supervision;
    if (restart === "temporary") {
      this.#remove(cell, "crashed", error);
      return;
    }
    const { clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    cell.failures ??= new Failures(intensity, periodMs);
    const { failures } = cell;
    failures.failedAtMs = nowMs;
    if (!failures.window.record(nowMs)) {
      this.#giveUp(cell, error);
      return;
    }
    if (nowMs - failures.startedAtMs >= periodMs) failures.streak = 0;
    failures.streak += 1;
    if (failures.streak === 1) {
      this.#restart(cell, failures, nowMs);
      return;
    }
    const delayMs = restartDelayMs(failures.streak - 1, this.#parts.draw());
    clock.after(delayMs, () => this.#restart(cell, failures, clock.monotonicMs()));
  }

  stopped(cell: Cell): void {
    this.#remove(cell, "stopped", null);
  }

  #restart(cell: Cell, failures: Failures, nowMs: number): void {
    if (cell.state !== "down" || cell.isLeaving) return;
    failures.startedAtMs = nowMs;
    this.#parts.life().start(cell, cell.starts + 1);
    this.#parts.onRestarted(cell, nowMs - failures.failedAtMs);
  }

  #giveUp(cell: Cell, last: unknown): void {
    const { parent } = cell;
    const why = last instanceof Error ? `; the last failure: ${last.message}` : "";
    const text = `${cell.name} failed more often than its policy allows${why}`;
    const error = new EsperError("SUPERVISOR_GAVE_UP", text, { actor: cell.name }, last);
    this.#remove(cell, "gave-up", error);
    if (parent === null) this.#parts.onGaveUp(cell, error);
    // SUPERVISOR_GAVE_UP is no answer of the parent's: it crashes it.
    else parent.crash(error, parent.instance);
  }

  #remove(cell: Cell, reason: DownReason, error: unknown): void {
    if (cell.state !== "stopped") this.#parts.life().retire(cell);
    leaveFamily(cell);
    this.#parts.removeCell(cell, reason, error);
    const waiting = this.#ending.get(cell);
    if (waiting === undefined) return;
    this.#ending.delete(cell);
    for (const resolve of waiting) resolve();
  }

  /** Those older than `child`, which is on its way out. */
  async #stopRest(child: Cell, older: readonly Cell[]): Promise<void> {
    await this.#gone(child);
    for (const next of older) {
      this.stop(next);
      await this.#gone(next);
    }
  }

  #gone(cell: Cell): Promise<void> | null {
    if (cell.state === "stopped") return null;
    return new Promise((resolve) => {
      const waiting = this.#ending.get(cell);
      if (waiting === undefined) this.#ending.set(cell, [resolve]);
      else waiting.push(resolve);
    });
  }
}

/** @throws {CONFIG_INVALID} */
function checked(definition: AnyActorDefinition, config: unknown): unknown {
  const { config: schema, protocol, mailbox } = definition;
  if (mailbox.kind === "ring") {
    const text = `a spawned ${protocol.name} shares its thread; its mailbox cannot be a "ring"`;
    throw new EsperError("CONFIG_INVALID", text, { path: protocol.name, value: mailbox.kind });
  }
  if (schema === null) return config;
  const parsed = schema.safeParse(config);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue: { path: PropertyKey[]; message: string }) => {
    const where = issue.path.length === 0 ? "(the whole)" : issue.path.map(String).join(".");
    return `${where}: ${issue.message}`;
  });
  const text = `the config of a spawned ${protocol.name} is not valid: ${issues.join("; ")}`;
  throw new EsperError("CONFIG_INVALID", text, { path: protocol.name });
}
