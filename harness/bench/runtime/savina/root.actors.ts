/** The actor that holds a benchmark's stage: it spawns the others, which run in its thread. */
import { defineActor } from "esper-runtime";
import { beginBank } from "./bank.ts";
import { beginBig } from "./big.ts";
import { beginChameneos } from "./chameneos.ts";
import { beginCounting } from "./counting.ts";
import { beginFanIn } from "./fan-in.ts";
import { beginForkJoin, beginForkJoinCreate } from "./fork-join.ts";
import { beginPingPong } from "./ping-pong.ts";
import { beginRequestReply } from "./request-reply.ts";
import { type Begin, openStage, RootProtocol } from "./stage.ts";
import { beginThreadRing } from "./thread-ring.ts";

const BEGIN: Readonly<Record<string, Begin>> = {
  "ping-pong": beginPingPong,
  counting: beginCounting,
  "fan-in": beginFanIn,
  "thread-ring": beginThreadRing,
  "fork-join": beginForkJoin,
  "fork-join-create": beginForkJoinCreate,
  big: beginBig,
  chameneos: beginChameneos,
  bank: beginBank,
  "request-reply": beginRequestReply,
};

export const root = defineActor(import.meta.url, RootProtocol, {
  setup: () => ({}),
  receive: {
    start(_state, { bench, count }, context) {
      const begin = BEGIN[bench];
      if (begin === undefined) throw new Error(`no benchmark ${bench}`);
      openStage(context);
      begin(context, count);
    },
  },
});
