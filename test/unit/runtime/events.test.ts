import { describe, expect, it } from "vitest";
import { topic } from "../../../src/runtime/actor.ts";
import { actor, supervisor } from "../../../src/runtime/topology.ts";
import {
  fail,
  newMemory,
  type PuppetContext,
  type PuppetOptions,
  PuppetProtocol,
  type PuppetRef,
  perform,
  puppet,
} from "../../fixtures/actors/puppet.ts";
import { startInline, until } from "./support.ts";

const News = topic<{ readonly number: number }>("news");
const Weather = topic<string>("weather");

async function threads(options: PuppetOptions = {}) {
  const memory = { here: newMemory(), near: newMemory(), far: newMemory() };
  const tree = supervisor({
    intensity: 100,
    children: {
      here: actor(puppet(memory.here), { thread: "main" }),
      near: actor(puppet(memory.near, options), { thread: "main" }),
      far: actor(puppet(memory.far, options), { thread: "side" }),
    },
  });
  const started = await startInline(tree);
  const ref = (name: string): PuppetRef => started.system.ref(PuppetProtocol, name);
  /** What was on its way between the threads has arrived. */
  const settle = async (): Promise<void> => {
    for (const name of ["here", "far", "here", "far", "near"]) {
      await ref(name).call("double", 1, { deadlineMs: 2_000 });
    }
  };
  return { ...started, memory, ref, settle };
}

const listen = (notes: number[]) => (context: PuppetContext) =>
  context.subscribe(News, ({ number }) => void notes.push(number));

const publish = (from: number, to: number) => (context: PuppetContext) => {
  for (let number = from; number < to; number++) context.publish(News, { number });
};

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

describe("an event", () => {
  it("reaches every subscriber of its topic, in every thread, in order", async () => {
    const { ref, settle } = await threads();
    const heard: Record<string, number[]> = { here: [], near: [], far: [] };
    for (const name of ["here", "near", "far"]) {
      await perform(ref(name), (context) => void listen(heard[name] as number[])(context));
    }
    await settle();
    await perform(ref("here"), publish(0, 300));
    await until(() => Object.values(heard).every(({ length }) => length === 300));
    expect(heard).toEqual({ here: numbers(300), near: numbers(300), far: numbers(300) });
  });

  it("of another topic is not heard", async () => {
    const { ref, settle } = await threads();
    const heard: number[] = [];
    const weather: string[] = [];
    await perform(ref("far"), (context) => {
      listen(heard)(context);
      context.subscribe(Weather, (text) => void weather.push(text));
    });
    await settle();
    await perform(ref("here"), (context) => context.publish(Weather, "fair"));
    await until(() => weather.length === 1);
    expect([heard, weather]).toEqual([[], ["fair"]]);
  });

  it("is a copy for the subscribers where payloads are copied", async () => {
    const { ref } = await threads();
    const Lists = topic<number[]>("lists");
    const heard: number[][] = [];
    await perform(ref("near"), (context) => {
      context.subscribe(Lists, (list) => void heard.push(list));
    });
    const sent = [1, 2];
    await perform(ref("here"), (context) => context.publish(Lists, sent));
    await until(() => heard.length === 1);
    expect(heard[0]).toEqual(sent);
    expect(heard[0]).not.toBe(sent);
  });

  it("that cannot cross threads is refused to its publisher, and reaches nobody", async () => {
    const { ref, settle } = await threads();
    const heard: unknown[] = [];
    const Anything = topic<unknown>("anything");
    for (const name of ["near", "far"]) {
      await perform(ref(name), (context) => {
        context.subscribe(Anything, (event) => void heard.push(event));
      });
    }
    await settle();
    const refused = perform(ref("here"), (context) => context.publish(Anything, { f: () => 1 }));
    await expect(refused).rejects.toMatchObject({ code: "NOT_TRANSFERABLE" });
    await settle();
    expect(heard).toEqual([]);
  });

  it("for nobody goes nowhere: no message, no dead letter", async () => {
    const { ref, settle, events, system } = await threads();
    await settle();
    const before = system.status().map(({ processed }) => processed);
    await perform(ref("here"), publish(0, 10_000));
    const after = system.status().map(({ processed }) => processed);
    expect(after).toEqual([(before[0] ?? 0) + 1, before[1], before[2]]);
    expect(events.filter(({ kind }) => kind === "dead-letter")).toEqual([]);
  });
});

describe("a subscriber", () => {
  it("without room misses the latest events, which are counted", async () => {
    const { ref, events, settle } = await threads({ mailbox: { capacity: 16 } });
    const heard: number[] = [];
    let release: (() => void) | null = null;
    await perform(ref("near"), (context) => void listen(heard)(context));
    const busy = perform(ref("near"), async () => {
      await new Promise<void>((resolve) => {
        release = resolve;
      });
    });
    await until(() => release !== null);
    await perform(ref("here"), publish(0, 40));
    (release as (() => void) | null)?.();
    await busy;
    await until(() => heard.length === 16);
    await settle();
    expect(heard).toEqual(numbers(16));
    const lost = () => events.flatMap((event) => (event.kind === "dead-letter" ? [event] : []));
    await until(() => lost().reduce((sum, { count }) => sum + count, 0) === 24);
    expect(lost()[0]).toMatchObject({ actor: "near", message: "(event) news", from: "here" });
  });

  it("that ends its subscription, or its life, hears nothing more", async () => {
    const { ref, settle, memory } = await threads();
    const ended: number[] = [];
    const restarted: number[] = [];
    const ends: (() => void)[] = [];
    await perform(ref("near"), (context) => void ends.push(listen(ended)(context)));
    await perform(ref("far"), (context) => void listen(restarted)(context));
    await settle();
    await perform(ref("here"), publish(0, 1));
    await until(() => ended.length + restarted.length === 2);
    ends[0]?.();
    fail(ref("far"));
    await until(() => memory.far.lives === 2);
    await settle();
    await perform(ref("here"), publish(1, 2));
    await settle();
    expect([ended, restarted]).toEqual([[0], [0]]);
  });

  it("is found again when its thread was replaced", async () => {
    const heard: number[] = [];
    const setup = (context: PuppetContext) => void listen(heard)(context);
    const { system, ref, settle, memory } = await threads({ setup });
    system.kill("far");
    await until(() => memory.far.lives === 2 && ref("far").available);
    await settle();
    await perform(ref("here"), publish(0, 3));
    await until(() => heard.length === 6);
    expect(heard.sort()).toEqual([0, 0, 1, 1, 2, 2]);
  });

  it("that fails over an event is restarted, and the event is not handled twice", async () => {
    const heard: number[] = [];
    const setup = (context: PuppetContext): void => {
      context.subscribe(News, ({ number }) => {
        heard.push(number);
        if (number === 1) throw new Error("bad news");
      });
    };
    const { ref, memory, settle } = await threads({ setup });
    await settle();
    await perform(ref("here"), publish(0, 2));
    await until(() => memory.near.lives === 2 && memory.far.lives === 2);
    await settle();
    expect(heard.sort()).toEqual([0, 0, 1, 1]);
  });
});
