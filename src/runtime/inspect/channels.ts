/**
 * What the runtime tells the tools of its own process through `node:diagnostics_channel`, in the
 * thread where it happens, and only while somebody listens there. Payloads are plain data; `thread`
 * is the name of the thread, times are in milliseconds.
 *
 * | channel | payload |
 * |---|---|
 * | `esper:actor-start` | `{ actor, thread, starts }` |
 * | `esper:actor-stop` | `{ actor, thread }` |
 * | `esper:actor-crash` | `{ actor, thread, code, message }` |
 * | `esper:actor-restart` | `{ actor, thread, supervisor, starts, tookMs }` |
 * | `esper:dead-letter` | `{ actor, thread, message, lane, from, reason, count }` |
 * | `esper:mailbox-full` | `{ actor, thread, message, lane, from }` |
 * | `esper:call` | `{ actor, thread, message, tookMs, status }`, in the thread of the caller |
 * | `esper:cancel` | `{ actor, thread, message, tookMs }`, in the thread of the caller |
 * | `esper:span` | a finished `Span`, in the thread of its sender |
 * | `esper:stuck` | `{ actor, thread, message, ageMs }`, on the main thread |
 * | `esper:thread-exit` | `{ thread, code, cause }`, on the main thread |
 *
 * Restarts of the actors of a tree are decided on the main thread and told there. Who wants to
 * hear of every thread in one place uses the `onEvent` of the system instead.
 */
import { channel } from "node:diagnostics_channel";

export const CHANNELS = {
  actorStart: channel("esper:actor-start"),
  actorStop: channel("esper:actor-stop"),
  actorCrash: channel("esper:actor-crash"),
  actorRestart: channel("esper:actor-restart"),
  deadLetter: channel("esper:dead-letter"),
  mailboxFull: channel("esper:mailbox-full"),
  call: channel("esper:call"),
  cancel: channel("esper:cancel"),
  span: channel("esper:span"),
  stuck: channel("esper:stuck"),
  threadExit: channel("esper:thread-exit"),
} as const;

/** Publishes what `payload` makes, which is not made while nobody listens. */
export function tell(name: keyof typeof CHANNELS, payload: () => object): void {
  const target = CHANNELS[name];
  if (target.hasSubscribers) target.publish(payload());
}

interface ToldActor {
  readonly name: string;
  readonly slot: number;
  readonly starts: number;
  readonly parent: { readonly name: string } | null;
}

/** An actor is ready for messages. Slot 0 is the thread itself, which is no actor. */
export function tellStart(told: ToldActor, thread: string): void {
  // Names of spawned actors are made when asked for.
  if (told.slot === 0 || !CHANNELS.actorStart.hasSubscribers) return;
  const { name: actor, starts } = told;
  tell("actorStart", () => ({ actor, thread, starts }));
}

/** An actor has stopped because it was told to, or wanted to. */
export function tellStop(told: ToldActor, thread: string): void {
  if (told.slot === 0 || !CHANNELS.actorStop.hasSubscribers) return;
  const { name: actor } = told;
  tell("actorStop", () => ({ actor, thread }));
}

/** A spawned actor was restarted by its own policy. */
export function tellRestart(told: ToldActor, thread: string, tookMs: number): void {
  if (!CHANNELS.actorRestart.hasSubscribers) return;
  const { name: actor, starts, parent } = told;
  const supervisor = parent?.name ?? null;
  tell("actorRestart", () => ({ actor, thread, supervisor, starts, tookMs }));
}

/** True while somebody in this thread wants to hear of the end of every call. */
export function hearsCalls(): boolean {
  return CHANNELS.call.hasSubscribers || CHANNELS.cancel.hasSubscribers;
}

/** Where the line about a crash goes. */
interface CrashLog {
  log(level: "error", actor: string, fields: Readonly<Record<string, string>>, text: string): void;
}

/** An actor has crashed; the log hears of it too. */
export function tellCrash(
  { name: actor }: ToldActor,
  thread: string,
  { code, message }: { readonly code: string; readonly message: string },
  log: CrashLog,
): void {
  tell("actorCrash", () => ({ actor, thread, code, message }));
  log.log("error", actor, { code, error: message }, "the actor crashed");
}
