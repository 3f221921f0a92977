/**
 * What the main thread tells all others of the actors of the tree: who is gone for good, and, for
 * those who asked, who was restarted. A thread that starts later is told of the former too.
 */
import type { EsperError } from "../../protocols/errors.ts";
import type { DownReason } from "../actor.ts";
import { causeOf } from "./death-watch.ts";
import type { Control } from "./wire.ts";

type Fate = Extract<Control, { kind: "retired" | "restarted" }>;

export class Fates {
  readonly #broadcast: (fate: Fate) => void;
  readonly #gone = new Set<string>();
  readonly #asked = new Set<string>();

  constructor(broadcast: (fate: Fate) => void) {
    this.#broadcast = broadcast;
  }

  /** A thread wants to know of the restarts of this actor. */
  ask(actor: string): void {
    this.#asked.add(actor);
  }

  restarted(actor: string): void {
    if (this.#asked.has(actor)) this.#broadcast({ kind: "restarted", actor });
  }

  /** Told once; the first reason counts. */
  retired(actor: string, reason: DownReason, error: EsperError | null): void {
    if (this.#gone.has(actor)) return;
    this.#gone.add(actor);
    const cause = reason === "stopped" ? null : causeOf(error);
    this.#broadcast({ kind: "retired", actor, reason, cause });
  }
}
