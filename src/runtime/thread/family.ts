/**
 * The spawned actors of a thread, joined to the host: they get their place, their name and their
 * supervision here, and everybody who should is told when one is gone.
 */
import { EsperError } from "../../protocols/errors.ts";
import type { MessageMap } from "../../protocols/protocol.ts";
import type { ActorRef, AnyActorDefinition } from "../actor.ts";
import type { Clock } from "../clock.ts";
import { tellRestart } from "../inspect/channels.ts";
import { createRandom } from "../random.ts";
import type { Cell } from "./cell.ts";
import type { Cells } from "./cells.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Mesh } from "./mesh.ts";
import { plainRef } from "./refs.ts";
import type { Relations } from "./relations.ts";
import { Spawner } from "./spawner.ts";
import type { LogLevel } from "./types.ts";
import type { HostSeed } from "./wire.ts";

/** What the family needs of its host. */
export interface FamilyParts {
  readonly seed: HostSeed;
  readonly clock: Clock;
  readonly cells: Cells;
  readonly mesh: Mesh;
  readonly relations: Relations;
  life(): Lifecycle;
  count(metric: string, attributes: Readonly<Record<string, string>>): void;
  log(
    level: LogLevel,
    actor: string,
    fields: Readonly<Record<string, string | number>>,
    text: string,
  ): void;
}

export class Family {
  readonly #parts: FamilyParts;
  readonly #spawner: Spawner;

  constructor(parts: FamilyParts) {
    this.#parts = parts;
    const { seed, clock, cells, mesh, relations } = parts;
    const draw = createRandom(seed.runSeed, `spawner:${seed.thread}`);
    this.#spawner = new Spawner({
      clock,
      draw: () => draw.next(),
      life: parts.life,
      addCell(actor, owner, parent) {
        const cell = cells.add(actor, owner, parent);
        relations.registry.adopt(cell);
        return cell;
      },
      removeCell(cell, reason, error) {
        mesh.forget(cell);
        cells.remove(cell);
        relations.gone(cell, reason, error);
      },
      onRestarted(cell, tookMs) {
        relations.childRestarted(cell);
        const { starts } = cell;
        void Promise.resolve().then(() => {
          tellRestart(cell, seed.thread, tookMs);
          parts.count("runtime.restarts_total", { actor: cell.definition.protocol.name });
          parts.log("warn", cell.name, { starts, tookMs }, "the actor was restarted");
        });
      },
      onGaveUp: (cell, error) => parts.log("error", cell.name, { code: error.code }, error.message),
    });
  }

  /** @throws {CONFIG_INVALID} @throws {ACTOR_LIMIT} @throws {NAME_TAKEN} */
  spawn(parent: Cell | null, of: AnyActorDefinition, config: unknown, name?: string): Cell {
    if (name === undefined) return this.#spawner.spawn(parent, of, config, null);
    const { registry } = this.#parts.relations;
    return registry.spawnAs(name, () => this.#spawner.spawn(parent, of, config, name));
  }

  /** Null when there are none. */
  stopChildren(parent: Cell): Promise<void> | null {
    return this.#spawner.stopChildren(parent);
  }

  /** Ends a child of `cell`, or, without one, `cell` itself. @throws {ACTOR_UNKNOWN} */
  stop(cell: Cell, child: ActorRef<MessageMap> | null): void {
    const target = child === null ? null : plainRef(child).target.cell;
    if (child !== null && (target === null || target.parent !== cell)) {
      const text = `${child.name} is no child of ${cell.name}, which therefore cannot stop it`;
      throw new EsperError("ACTOR_UNKNOWN", text, { actor: child.name });
    }
    const ended = target ?? cell;
    if (ended.index < 0) {
      this.#spawner.stop(ended);
      return;
    }
    ended.isLeaving = true;
    this.#parts.life().stop(ended, false, ended.definition.supervision.shutdownMs);
  }
}
