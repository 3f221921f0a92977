/**
 * The connection of a host to one other host: the calls that wait for replies from there, and the
 * calls from there that wait for replies from here. When the other thread dies every waiting call
 * fails with ACTOR_RESTARTING at once.
 */
import { dehydrate, EsperError, rehydrate, type WireError } from "../../protocols/errors.ts";
import type { Clock } from "../clock.ts";
import type { Credits } from "./credits.ts";
import type { Caller, Message } from "./message.ts";
import type { PendingCall } from "./pending.ts";
import type { Mail, MailPort } from "./wire.ts";

/** What a link tells its host. */
export interface LinkOwner {
  readonly clock: Clock;
  onCall(link: Link, mail: Extract<Mail, { kind: "call" }>): void;
  onCast(link: Link, mail: Extract<Mail, { kind: "cast" }>): void;
  onCancel(message: Message): void;
  onLateReply(): void;
  onClosed(link: Link): void;
}

/** True for the error by which the platform says that a value cannot cross threads. */
export function isCloneError(error: unknown): error is Error {
  return error instanceof Error && error.name === "DataCloneError";
}

export class Link {
  readonly thread: string;
  readonly epoch: number;
  readonly credits: Credits;
  /** Calls sent over this link, by id. */
  readonly pending = new Map<number, PendingCall>();
  /** Calls received over this link and not yet answered, by id. */
  readonly inbound = new Map<number, Message>();
  readonly #port: MailPort;
  readonly #owner: LinkOwner;
  #open = true;

  constructor(thread: string, epoch: number, credits: Credits, port: MailPort, owner: LinkOwner) {
    this.thread = thread;
    this.epoch = epoch;
    this.credits = credits;
    this.#port = port;
    this.#owner = owner;
    port.open(
      (mail) => this.#receive(mail),
      () => owner.onClosed(this),
    );
  }

  get open(): boolean {
    return this.#open;
  }

  /** @throws DataCloneError when the mail cannot cross threads. */
  post(mail: Mail, transfer?: readonly ArrayBuffer[]): void {
    if (this.#open) this.#port.post(mail, transfer);
  }

  /** Reads what still arrived, then fails what waits with `code`. Idempotent. */
  close(code: "ACTOR_RESTARTING" | "ACTOR_STOPPED"): void {
    if (!this.#open) return;
    this.#port.close();
    this.#open = false;
    const waiting = [...this.pending.values()];
    this.pending.clear();
    this.inbound.clear();
    for (const call of waiting) {
      const next = code === "ACTOR_STOPPED" ? "for good" : "and is being replaced";
      const message = `the thread ${this.thread} ended before it answered, ${next}`;
      call.fail(new EsperError(code, message, { thread: this.thread }));
    }
  }

  /** The caller behind this link that sent call `id`. */
  caller(id: number, deadlineAtMs: number): Caller {
    return new RemoteCaller(this, id, deadlineAtMs, this.#owner);
  }

  #receive(mail: Mail): void {
    switch (mail.kind) {
      case "call":
        this.#owner.onCall(this, mail);
        return;
      case "cast":
        this.#owner.onCast(this, mail);
        return;
      case "reply":
        this.#settle(mail.id, (call) => call.reply(mail.value));
        return;
      case "fail":
        this.#settle(mail.id, (call) => call.fail(rehydrate(mail.error)));
        return;
      case "cancel": {
        const message = this.inbound.get(mail.id);
        this.inbound.delete(mail.id);
        if (message !== undefined) this.#owner.onCancel(message);
      }
    }
  }

  #settle(id: number, settle: (call: PendingCall) => void): void {
    const call = this.pending.get(id);
    if (call === undefined) {
      this.#owner.onLateReply();
      return;
    }
    this.pending.delete(id);
    settle(call);
  }
}

class RemoteCaller implements Caller {
  readonly #link: Link;
  readonly #id: number;
  readonly #deadlineAtMs: number;
  readonly #owner: LinkOwner;

  constructor(link: Link, id: number, deadlineAtMs: number, owner: LinkOwner) {
    this.#link = link;
    this.#id = id;
    this.#deadlineAtMs = deadlineAtMs;
    this.#owner = owner;
  }

  get settled(): boolean {
    return !this.#link.inbound.has(this.#id);
  }

  reply(value: unknown): void {
    if (!this.#claim()) return;
    try {
      this.#link.post({ kind: "reply", id: this.#id, value });
    } catch (error) {
      if (!isCloneError(error)) throw error;
      this.#postError(new EsperError("NOT_TRANSFERABLE", `the reply: ${error.message}`));
    }
  }

  fail(error: EsperError): void {
    if (this.#claim()) this.#postError(error);
  }

  drop(): void {
    this.#link.inbound.delete(this.#id);
  }

  /** The details of an error may hold anything; when they cannot cross, the rest still does. */
  #postError(error: EsperError): void {
    const wire = dehydrate(error);
    try {
      this.#postFailure(wire);
    } catch (cloneError) {
      if (!isCloneError(cloneError)) throw cloneError;
      this.#postFailure({ ...wire, details: { lost: "the details cannot cross threads" } });
    }
  }

  #postFailure(error: WireError): void {
    this.#link.post({ kind: "fail", id: this.#id, error });
  }

  /** False when the call was cancelled, or its deadline has passed and no reply may be sent. */
  #claim(): boolean {
    if (!this.#link.inbound.delete(this.#id)) return false;
    if (this.#owner.clock.monotonicMs() <= this.#deadlineAtMs) return true;
    this.#owner.onLateReply();
    return false;
  }
}
