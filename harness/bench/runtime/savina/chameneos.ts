/** A hundred creatures meet in pairs at one mall and change colour. An operation is a meeting. */
import { type ActorRef, cast, defineActor, protocol } from "esper-runtime";
import { type Begin, type Cast, closeStage } from "./stage.ts";

const CREATURES = 100;
const COLOURS = 3;

type Partner = ActorRef<{ readonly met: Cast<number>; readonly leave: Cast<null> }>;

interface Visit {
  readonly from: Partner;
  readonly colour: number;
}

const MallProtocol = protocol("mall", {
  open: cast<number>(),
  meet: cast<Visit>(),
  left: cast<number>(),
});

interface Mall {
  count: number;
  remaining: number;
  waiting: Visit | null;
  left: number;
  meetings: number;
}

const mall = defineActor(import.meta.url, MallProtocol, {
  setup: (): Mall => ({ count: 0, remaining: 0, waiting: null, left: 0, meetings: 0 }),
  receive: {
    open(state, count) {
      state.count = count;
      state.remaining = count;
    },
    meet(state, visit) {
      if (state.remaining === 0) {
        visit.from.cast("leave", null);
        return;
      }
      const first = state.waiting;
      if (first === null) {
        state.waiting = visit;
        return;
      }
      state.waiting = null;
      state.remaining -= 1;
      first.from.cast("met", visit.colour);
      visit.from.cast("met", first.colour);
    },
    left(state, meetings) {
      state.left += 1;
      state.meetings += meetings;
      if (state.left < CREATURES) return;
      // Every meeting has two partners; one more or less is a lost or doubled message.
      closeStage(state.count, Math.abs(state.meetings - 2 * state.count));
    },
  },
});

const CreatureProtocol = protocol("creature", {
  start: cast<{ readonly mall: ActorRef<typeof MallProtocol.messages>; readonly colour: number }>(),
  met: cast<number>(),
  leave: cast<null>(),
});

interface Creature {
  mall: ActorRef<typeof MallProtocol.messages> | null;
  colour: number;
  meetings: number;
}

const creature = defineActor(import.meta.url, CreatureProtocol, {
  setup: (): Creature => ({ mall: null, colour: 0, meetings: 0 }),
  receive: {
    start(state, start, { self }) {
      state.mall = start.mall;
      state.colour = start.colour;
      start.mall.cast("meet", { from: self, colour: start.colour });
    },
    met(state, colour, { self }) {
      state.meetings += 1;
      state.colour = (state.colour + colour) % COLOURS;
      state.mall?.cast("meet", { from: self, colour: state.colour });
    },
    leave: (state) => void state.mall?.cast("left", state.meetings),
  },
});

export const beginChameneos: Begin = (root, count) => {
  const place = root.spawn(mall);
  place.cast("open", count);
  for (let index = 0; index < CREATURES; index++) {
    root.spawn(creature).cast("start", { mall: place, colour: index % COLOURS });
  }
};
