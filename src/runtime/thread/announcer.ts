/** Tells the process, the log and the telemetry collector what happens to actors and threads. */
import type { EsperError } from "../../protocols/errors.ts";
import type { Effect } from "../supervision.ts";
import type { Host } from "./host.ts";
import type { DeadLetter, SystemEvent } from "./types.ts";

const SOURCE = "supervisor";

export class Announcer {
  readonly #main: Host;
  readonly #onEvent: (event: SystemEvent) => void;

  constructor(main: Host, onEvent: (event: SystemEvent) => void) {
    this.#main = main;
    this.#onEvent = onEvent;
  }

  crashed(actor: string, thread: string, error: EsperError): void {
    this.#onEvent({ kind: "crashed", actor, thread, error });
    const attributes = { actor, thread, code: error.code, error: error.message };
    this.#main.emit(SOURCE, "supervisor.actor_crashed", "ERROR", attributes);
  }

  restarted(effect: Extract<Effect, { kind: "restarted" }>, thread: string): void {
    const { actor, supervisor, starts, tookMs } = effect;
    this.#onEvent({ kind: "restarted", actor, thread, supervisor, starts, tookMs });
    const attributes = { actor, thread, supervisor, starts, took_ms: tookMs };
    this.#main.emit(SOURCE, "supervisor.restarted", "WARNING", attributes);
    this.#main.count("runtime.restarts_total", { actor });
    this.#main.log("warn", SOURCE, { name: actor, starts, tookMs }, "the actor was restarted");
  }

  gaveUp(supervisor: string, actor: string, error: EsperError): void {
    this.#onEvent({ kind: "gave-up", supervisor, actor, error });
    const attributes = { supervisor, actor, error: error.message };
    this.#main.emit(SOURCE, "supervisor.gave_up", "CRITICAL", attributes);
    this.#main.log("error", SOURCE, { name: actor, supervisor }, error.message);
  }

  threadExit(thread: string, code: number, cause: string): void {
    this.#onEvent({ kind: "thread-exit", thread, code, cause });
    this.#main.emit(SOURCE, "runtime.thread_exit", "ERROR", { thread, code, cause });
    this.#main.log("error", SOURCE, { name: thread, code, cause }, "a thread ended");
  }

  actorStuck(event: Omit<Extract<SystemEvent, { kind: "actor-stuck" }>, "kind">): void {
    this.#onEvent({ kind: "actor-stuck", ...event });
    const { thread, ageMs } = event;
    const actor = event.actor ?? "unknown";
    const message = event.message ?? "unknown";
    const attributes = { actor, thread, message, age_ms: ageMs };
    this.#main.emit(SOURCE, "runtime.actor_stuck", "ERROR", attributes);
    this.#main.count("runtime.actors_stuck_total", { actor });
    const fields = { name: actor, held: thread, message, ageMs };
    this.#main.log("error", SOURCE, fields, "an actor has held its thread for too long");
  }

  zombie(thread: string, zombies: number): void {
    this.#onEvent({ kind: "zombie", thread, zombies });
    this.#main.emit(SOURCE, "runtime.zombie", "CRITICAL", { thread, zombies });
    this.#main.count("runtime.zombies_total", { thread });
    this.#main.gauge("runtime.zombies", zombies);
    const text = "a thread did not end when it was told to; it is cut off and left behind";
    this.#main.log("error", SOURCE, { name: thread, zombies }, text);
  }

  zombieEnded(thread: string, zombies: number): void {
    this.#onEvent({ kind: "zombie-ended", thread, zombies });
    this.#main.gauge("runtime.zombies", zombies);
    this.#main.log("warn", SOURCE, { name: thread, zombies }, "a thread left behind has ended");
  }

  /** The telemetry event of a dead letter is sent by the thread where it died. */
  deadLetter(thread: string, letter: DeadLetter): void {
    this.#onEvent({ kind: "dead-letter", thread, ...letter });
  }
}
