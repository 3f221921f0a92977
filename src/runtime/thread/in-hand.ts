/**
 * The message an actor has in hand, and what its handler did with it beside handling it: put it
 * aside, passed its caller on, or promised its answer for later. What was put aside outlives a
 * restart of the actor.
 */
import { EsperError } from "../../protocols/errors.ts";
import type { Caller, Message } from "./message.ts";
import type { OpenAnswers } from "./open-answers.ts";

/** How the handling ends for the message. */
export type Outcome = "handled" | "stashed" | "forwarded" | "later";

/** Made when an actor first puts a message aside or passes one on; most never do. */
export class InHand {
  readonly #actor: () => string;
  #stash: Message[] = [];
  #outcome: Outcome = "handled";

  constructor(actor: () => string) {
    this.#actor = actor;
  }

  get stashed(): readonly Message[] {
    return this.#stash;
  }

  /** @throws {STASH_FULL} @throws {MESSAGE_UNKNOWN} */
  stash(message: Message | null, capacity: number): void {
    if (message === null) {
      const text = `${this.#actor()} has no message in hand to put aside`;
      throw new EsperError("MESSAGE_UNKNOWN", text);
    }
    if (this.#outcome !== "handled") return;
    if (this.#stash.length >= capacity) {
      const text = `${this.#actor()} has put ${capacity} messages aside, its capacity`;
      throw new EsperError("STASH_FULL", text, { actor: this.#actor(), capacity });
    }
    this.#stash.push(message);
    this.#outcome = "stashed";
  }

  /** Who waits for the message; what its handler returns is no longer the reply. */
  passOn(message: Message | null): Caller {
    const caller = message?.caller ?? null;
    if (caller === null || this.#outcome !== "handled") throw this.#noCall("forward");
    this.#outcome = "forwarded";
    return caller;
  }

  /** The call in hand, whose answer comes after its handler has returned. */
  answerLater(message: Message | null): Message {
    if (message === null || message.caller === null || this.#outcome !== "handled") {
      throw this.#noCall("answer later");
    }
    this.#outcome = "later";
    return message;
  }

  #noCall(what: string): EsperError {
    return new EsperError("MESSAGE_UNKNOWN", `${this.#actor()} has no call in hand to ${what}`);
  }

  /** The handler has returned. */
  takeOutcome(): Outcome {
    const outcome = this.#outcome;
    this.#outcome = "handled";
    return outcome;
  }

  /** What was put aside or promised by a handler that then failed ends with that failure. */
  failed(message: Message, answers: OpenAnswers | null): void {
    const outcome = this.takeOutcome();
    if (outcome === "stashed") this.#stash = this.#stash.filter((stashed) => stashed !== message);
    else if (outcome === "later") answers?.withdraw(message);
  }

  /** Empties the stash; first put aside, first out. */
  takeStash(): Message[] {
    const stash = this.#stash;
    this.#stash = [];
    return stash;
  }
}
