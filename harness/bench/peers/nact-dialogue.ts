/** nact as a peer, the benchmarks in which actors answer each other. */
import { createRandom } from "esper-runtime";
import { dispatch, query, type Ref } from "nact";
import { actorOf, type Finish, type NactBench } from "./nact-simple.ts";

interface Ball {
  readonly from: Ref<number>;
  readonly sequence: number;
}

export const pingPong: NactBench = (system, count, finish) => {
  const pong = actorOf<Ball>(system, "pong", ({ from, sequence }) => dispatch(from, sequence));
  let next = 0;
  let faults = 0;
  const ping = actorOf<number>(system, "ping", (sequence, from) => {
    if (sequence !== next - 1) faults += 1;
    if (next === count) finish(faults);
    else dispatch(pong, { from, sequence: next++ });
  });
  dispatch(ping, -1);
};

type Talk = { readonly from: Ref<Talk>; readonly sequence: number } | { readonly answer: number };

export const big: NactBench = (system, count, finish) => {
  const each = Math.ceil(count / 120);
  let done = 0;
  let faults = 0;
  const members: Ref<Talk>[] = [];
  for (let index = 0; index < 120; index++) {
    const random = createRandom(index, "bench:big");
    let sequence = 0;
    const pingNext = (from: Ref<Talk>): void => {
      const target = members[random.integer(120)];
      if (target !== undefined) dispatch(target, { from, sequence });
    };
    const member = actorOf<Talk>(system, `member-${index}`, (talk, self) => {
      if ("from" in talk) return dispatch(talk.from, { answer: talk.sequence });
      if (talk.answer >= 0 && talk.answer !== sequence++) faults += 1;
      if (sequence < each) return pingNext(self);
      if (++done === 120) finish(faults);
    });
    members.push(member);
  }
  for (const member of members) dispatch(member, { answer: -1 });
};

type Meeting = { readonly colour: number } | null;
type Visit = { readonly from: Ref<Meeting>; readonly colour: number } | { readonly left: number };

export const chameneos: NactBench = (system, count, finish) => {
  let remaining = count;
  let waiting: { readonly from: Ref<Meeting>; readonly colour: number } | null = null;
  let left = 0;
  let meetings = 0;
  const mall = actorOf<Visit>(system, "mall", (visit) => {
    if ("left" in visit) {
      meetings += visit.left;
      if (++left === 100) finish(Math.abs(meetings - 2 * count));
      return;
    }
    if (remaining === 0) return dispatch(visit.from, null);
    if (waiting === null) {
      waiting = visit;
      return;
    }
    remaining -= 1;
    dispatch(waiting.from, { colour: visit.colour });
    dispatch(visit.from, { colour: waiting.colour });
    waiting = null;
  });
  for (let index = 0; index < 100; index++) {
    let colour = index % 3;
    let met = -1;
    const creature = actorOf<Meeting>(system, `creature-${index}`, (meeting, from) => {
      if (meeting === null) return dispatch(mall, { left: met });
      met += 1;
      colour = met === 0 ? colour : (colour + meeting.colour) % 3;
      dispatch(mall, { from, colour });
    });
    dispatch(creature, { colour });
  }
};

export const requestReply: NactBench = (system, count, finish) => {
  interface Ask {
    readonly from: Ref<number>;
    readonly value: number;
  }
  const server = actorOf<Ask>(system, "server", ({ from, value }) => dispatch(from, value + 1));
  askAll(count, (value) => query(server, (from: Ref<number>) => ({ from, value }), 60_000))
    .then(finish)
    .catch(() => finish(1));
};

async function askAll(
  count: number,
  ask: (value: number) => Promise<number>,
): Promise<Parameters<Finish>[0]> {
  let faults = 0;
  for (let value = 0; value < count; value++) if ((await ask(value)) !== value + 1) faults += 1;
  return faults;
}
