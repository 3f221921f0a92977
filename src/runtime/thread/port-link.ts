/** A mail port over a MessagePort, between two real threads. */
import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import type { Mail, MailPort } from "./wire.ts";

export function portOf(port: MessagePort): MailPort {
  let receive: ((mail: Mail) => void) | null = null;
  // Reading from a port whose other end is gone crashes the process (seen in Node 20).
  let gone = false;

  // Everything that has arrived is put into the mailboxes before any handler runs, so an urgent
  // message never waits in the port behind the handling of others.
  function deliverAll(): void {
    while (!gone) {
      const next = receiveMessageOnPort(port);
      if (next === undefined) return;
      receive?.(next.message as Mail);
    }
  }

  return {
    post: (mail, transfer) => port.postMessage(mail, transfer === undefined ? [] : [...transfer]),
    open(onMail, onClosed) {
      receive = onMail;
      port.on("message", (mail: Mail) => {
        receive?.(mail);
        deliverAll();
      });
      port.once("close", () => {
        gone = true;
        onClosed();
      });
    },
    close() {
      deliverAll();
      receive = null;
      gone = true;
      port.close();
    },
  };
}
