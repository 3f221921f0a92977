/** What the tests of dying threads share: two threads, and accounts of what was sent to them. */

import type { ActorRef, AnyActorDefinition } from "../../dist/runtime/actor.js";
import type { SystemOptions } from "../../dist/runtime/thread/system.js";
import type { SystemEvent } from "../../dist/runtime/thread/types.js";
import { DyingProtocol, dying } from "../fixtures/actors/dying-actors.mjs";
import { actor, type Started, startThreads, supervisor } from "./built.ts";

/** Limits by which a thread that hangs is found quickly, on a machine that is shared. */
export const QUICK = { stuckMs: 100, graceMs: 50 };

type Messages = (typeof DyingProtocol)["messages"];

export interface Pair extends Started {
  readonly victim: ActorRef<Messages>;
  /** In the thread of the victim. */
  readonly sibling: ActorRef<Messages>;
  /** In another thread. */
  readonly neighbour: ActorRef<Messages>;
  /** Sum of what both actors counted. */
  counted(): number;
  find<K extends SystemEvent["kind"]>(kind: K): Extract<SystemEvent, { kind: K }> | undefined;
  deadCasts(): number;
}

/** `victim` and `sibling` on the thread `left`, `neighbour` on the thread `right`. */
export async function startPair(
  options: Partial<SystemOptions> = {},
  definition: AnyActorDefinition = dying,
): Promise<Pair> {
  const board = new SharedArrayBuffer(4);
  const config = () => ({ board });
  const tree = supervisor({
    ...{ intensity: 1_000, periodMs: 50 },
    children: {
      victim: actor(definition, { thread: "left", config }),
      sibling: actor(dying, { thread: "left", config }),
      neighbour: actor(definition, { thread: "right", config }),
    },
  });
  const started = await startThreads(tree, { threadOptions: { left: QUICK }, ...options });
  const { system, events } = started;
  return {
    ...started,
    victim: system.ref(DyingProtocol, "victim"),
    sibling: system.ref(DyingProtocol, "sibling"),
    neighbour: system.ref(DyingProtocol, "neighbour"),
    counted: () => Atomics.load(new Int32Array(board), 0),
    find: (kind) => events.find((event) => event.kind === kind) as never,
    deadCasts: () =>
      events.reduce((sum, event) => sum + (event.kind === "dead-letter" ? event.count : 0), 0),
  };
}

/** Waits until all spares are loaded. */
export const spareReady =
  (pair: Pair, count = 1) =>
  (): boolean =>
    pair.system.spares >= count;
