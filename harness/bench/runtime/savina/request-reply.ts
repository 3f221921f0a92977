/** One actor calls another, one call after the other, each with its deadline and its reply. */
import { type ActorRef, call, cast, defineActor, protocol } from "esper-runtime";
import { type Begin, closeStage } from "./stage.ts";

const OPTIONS = { deadlineMs: 60_000 };

const ServerProtocol = protocol("server", { ask: call<number, number>() });

const ClientProtocol = protocol("client", {
  start: cast<{
    readonly server: ActorRef<typeof ServerProtocol.messages>;
    readonly count: number;
  }>(),
});

const server = defineActor(import.meta.url, ServerProtocol, {
  setup: () => ({}),
  receive: { ask: (_state, value) => value + 1 },
});

const client = defineActor(import.meta.url, ClientProtocol, {
  setup: () => ({}),
  receive: {
    async start(_state, { server: target, count }) {
      let faults = 0;
      for (let value = 0; value < count; value++) {
        if ((await target.call("ask", value, OPTIONS)) !== value + 1) faults += 1;
      }
      closeStage(count, faults);
    },
  },
});

export const beginRequestReply: Begin = (root, count) => {
  root.spawn(client).cast("start", { server: root.spawn(server), count });
};
