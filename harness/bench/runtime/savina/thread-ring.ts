/** A token runs round a ring of a hundred actors. An operation is one hop. */
import { type ActorRef, cast, defineActor, protocol } from "esper-runtime";
import { type Begin, type Cast, closeStage } from "./stage.ts";

const ACTORS = 100;
const FIRST_VISIT = 0.5;

type NextNode = ActorRef<{ readonly token: Cast<number> }>;

const NodeProtocol = protocol("ring-node", {
  join: cast<{ readonly next: NextNode; readonly count: number }>(),
  /** Hops that are left. */
  token: cast<number>(),
});

interface Node {
  next: NextNode | null;
  count: number;
  /** Hops that must be left when the token comes back; no whole number before its first visit. */
  expected: number;
}

const node = defineActor(import.meta.url, NodeProtocol, {
  setup: (): Node => ({ next: null, count: 0, expected: FIRST_VISIT }),
  receive: {
    join(state, { next, count }) {
      state.next = next;
      state.count = count;
    },
    token(state, left) {
      // One hop out of turn ends the run with the fault.
      const expected = state.expected;
      state.expected = left - ACTORS;
      if (left !== expected && expected !== FIRST_VISIT) closeStage(state.count, 1);
      else if (left === 0) closeStage(state.count, 0);
      else state.next?.cast("token", left - 1);
    },
  },
});

export const beginThreadRing: Begin = (root, count) => {
  const nodes = Array.from({ length: ACTORS }, () => root.spawn(node));
  nodes.forEach((ref, index) => {
    const next = nodes[(index + 1) % ACTORS] ?? ref;
    ref.cast("join", { next, count });
  });
  nodes[0]?.cast("token", count);
};
