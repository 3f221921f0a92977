/** A project of somebody else that uses the package as strictly as TypeScript can be. */

export const ACTORS = `
import { call, defineActor, protocol } from "esper-runtime";

export const SumProtocol = protocol("sum", { add: call<readonly number[], number>() });

export const sum = defineActor(import.meta.url, SumProtocol, {
  setup: () => ({ total: 0 }),
  receive: {
    add(state, values) {
      for (const value of values) state.total += value;
      return state.total;
    },
  },
});
`;

export const MAIN = `
import {
  type ActorRef,
  ActorSystem,
  type ActorStatus,
  actor,
  EsperError,
  type LogRecord,
  type SupervisorSpec,
  type SystemEvent,
  type SystemOptions,
  supervisor,
  systemClock,
} from "esper-runtime";
import { VirtualClock } from "esper-runtime/testkit";
import { SumProtocol, sum } from "./actors.ts";

const logs: LogRecord[] = [];
const events: SystemEvent[] = [];
const tree: SupervisorSpec = supervisor({ children: { sum: actor(sum, { thread: "adding" }) } });
const options: SystemOptions = {
  tree,
  clock: systemClock,
  log: (record) => logs.push(record),
  onEvent: (event) => events.push(event),
};
const system = await ActorSystem.start(options);
const ref: ActorRef<typeof SumProtocol.messages> = system.ref(SumProtocol);
const total: number = await ref.call("add", [1, 2, 3], { deadlineMs: 10_000 });
const [status]: ActorStatus[] = system.status();
console.log(total, status?.thread, events[0]?.kind, new VirtualClock().waiting);
// @ts-expect-error: a string is no list of numbers.
void (() => ref.call("add", "1", { deadlineMs: 10_000 }));
// @ts-expect-error: a call needs a deadline.
void (() => ref.call("add", [4], {}));
try {
  // @ts-expect-error: there is no such message.
  await ref.call("subtract", [1], { deadlineMs: 10_000 });
} catch (error) {
  if (EsperError.is(error)) console.log(error.code);
}
await system.stop({ graceMs: 1_000 });
`;
