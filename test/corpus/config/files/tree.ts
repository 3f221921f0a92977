import { actor, resident, supervisor } from "esper-runtime";

export const tree = supervisor({ children: { one: actor(resident("one"), { thread: "a" }) } });
