/** nact as a peer, the benchmarks with one direction: counting, fan-in, ring, fork-join. */
import { type ActorSystemRef, dispatch, type Ref, spawn, stop } from "nact";

/** Called once with the number of messages that came out of order. */
export type Finish = (faults: number) => void;

export type NactBench = (system: ActorSystemRef, count: number, finish: Finish) => void;

const ORIGIN = 37.2;

/** An actor that calls `step` for each message and keeps no other state. */
export function actorOf<Message>(
  system: ActorSystemRef,
  name: string,
  step: (message: Message, self: Ref<Message>) => void,
): Ref<Message> {
  return spawn(
    system,
    (state: null, message: Message, context) => {
      step(message, context.self);
      return state;
    },
    name,
  );
}

/** A checker of 0, 1, 2, ... that tells when `count` numbers have come. */
function checker(count: number, finish: Finish): (sequence: number) => void {
  let expected = 0;
  let faults = 0;
  return (sequence) => {
    if (sequence !== expected) faults += 1;
    expected = sequence + 1;
    if (expected === count) finish(faults);
  };
}

export const counting: NactBench = (system, count, finish) => {
  const check = checker(count, finish);
  const counter = actorOf<{ sequence: number }>(system, "counter", ({ sequence }) =>
    check(sequence),
  );
  for (let sequence = 0; sequence < count; sequence++) dispatch(counter, { sequence });
};

export const fanIn: NactBench = (system, count, finish) => {
  const each = Math.ceil(count / 8);
  let left = 8;
  let sum = 0;
  const checks = Array.from({ length: 8 }, () =>
    checker(each, (faults) => {
      sum += faults;
      if (--left === 0) finish(sum);
    }),
  );
  const sink = actorOf<{ producer: number; sequence: number }>(
    system,
    "sink",
    ({ producer, sequence }) => checks[producer]?.(sequence),
  );
  for (let producer = 0; producer < 8; producer++) {
    let sent = 0;
    const source = actorOf<null>(system, `source-${producer}`, (_message, self) => {
      const until = Math.min(each, sent + 500);
      for (; sent < until; sent++) dispatch(sink, { producer, sequence: sent });
      if (sent < each) dispatch(self, null);
    });
    dispatch(source, null);
  }
};

export const threadRing: NactBench = (system, count, finish) => {
  const nodes: Ref<{ left: number }>[] = [];
  for (let index = 0; index < 100; index++) {
    nodes.push(
      actorOf<{ left: number }>(system, `node-${index}`, ({ left }) => {
        const next = nodes[(index + 1) % 100];
        if (left === 0 || next === undefined) finish(0);
        else dispatch(next, { left: left - 1 });
      }),
    );
  }
  const [first] = nodes;
  if (first !== undefined) dispatch(first, { left: count });
};

export const forkJoin: NactBench = (system, count, finish) => {
  const each = Math.ceil(count / 60);
  let joined = 0;
  let sum = 0;
  let work = 0;
  const workers = Array.from({ length: 60 }, (_, index) => {
    const check = checker(each, (faults) => {
      sum += faults;
      if (++joined === 60) finish(work > 0 ? sum : sum + 1);
    });
    return actorOf<{ sequence: number }>(system, `worker-${index}`, ({ sequence }) => {
      work += Math.sin(ORIGIN) * Math.sin(ORIGIN);
      check(sequence);
    });
  });
  for (let sequence = 0; sequence < each; sequence++) {
    for (const worker of workers) dispatch(worker, { sequence });
  }
};

export const forkJoinCreate: NactBench = (system, count, finish) => {
  let done = 0;
  for (let index = 0; index < count; index++) {
    const mayfly = actorOf<null>(system, `mayfly-${index}`, (_message, self) => {
      stop(self);
      if (++done === count) finish(0);
    });
    dispatch(mayfly, null);
  }
};
