/** A mail port between two hosts in one thread: mail is cloned and arrives in a later microtask. */
import type { Mail, MailPort } from "./wire.ts";

class InlinePort implements MailPort {
  readonly #clone: boolean;
  #peer: InlinePort | null = null;
  #receive: ((mail: Mail) => void) | null = null;
  #closed: (() => void) | null = null;
  #arrived: Mail[] = [];
  #isOpen = true;

  constructor(clone: boolean) {
    this.#clone = clone;
  }

  join(peer: InlinePort): void {
    this.#peer = peer;
  }

  post(mail: Mail, transfer: readonly ArrayBuffer[] = []): void {
    const sent = this.#clone ? structuredClone(mail, { transfer: [...transfer] }) : mail;
    this.#peer?.arrive(sent);
  }

  open(receive: (mail: Mail) => void, closed: () => void): void {
    this.#receive = receive;
    this.#closed = closed;
    this.#deliver();
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#deliver();
    this.#isOpen = false;
    const peer = this.#peer;
    void Promise.resolve().then(() => peer?.peerClosed());
  }

  arrive(mail: Mail): void {
    this.#arrived.push(mail);
    if (this.#arrived.length === 1) void Promise.resolve().then(() => this.#deliver());
  }

  peerClosed(): void {
    if (this.#isOpen) this.#closed?.();
  }

  #deliver(): void {
    if (this.#receive === null || !this.#isOpen) return;
    const mails = this.#arrived;
    this.#arrived = [];
    for (const mail of mails) this.#receive(mail);
  }
}

/** Two ends of one connection. `clone`: copy every mail as the platform would between threads. */
export function createInlineChannel(clone: boolean): [MailPort, MailPort] {
  const left = new InlinePort(clone);
  const right = new InlinePort(clone);
  left.join(right);
  right.join(left);
  return [left, right];
}
