/**
 * What the actors of one in-thread benchmark share: the instant it began and the way to end it.
 * They all run in the thread of the root actor that spawned them, so plain module state is theirs.
 */
import { type ActorContext, type ActorRef, cast, protocol } from "esper-runtime";
import { CollectorProtocol } from "../collector.actors.ts";
import { instantMs } from "../instant.ts";

export const RootProtocol = protocol("savina", {
  start: cast<{ readonly bench: string; readonly count: number }>(),
});

export type Root = ActorContext<unknown, typeof RootProtocol.messages>;

/** Spawns the actors of a benchmark of `count` operations and sends the first messages. */
export type Begin = (root: Root, count: number) => void;

/** The type of one cast in a protocol, for refs to "whoever understands this". */
export type Cast<Payload> = ReturnType<typeof cast<Payload>>;

/** Whoever can be told to take its next step. */
export type Stepper = ActorRef<{ readonly step: Cast<null> }>;

let stage: { readonly root: Root; readonly startedAtMs: number } | null = null;

/** Starts the clock of one measurement. */
export function openStage(root: Root): void {
  stage = { root, startedAtMs: instantMs() };
}

/** Stops the clock; `faults` are messages that came out of order, twice or never. */
export function closeStage(operations: number, faults: number): void {
  if (stage === null) throw new Error("a benchmark ended that had not begun");
  const { root, startedAtMs } = stage;
  stage = null;
  const endedAtMs = instantMs();
  root.ref(CollectorProtocol, "collector").cast("report", {
    startedAtMs,
    endedAtMs,
    operations,
    faults,
  });
}
