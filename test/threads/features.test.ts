/** Spawned actors, names, watches, links, events and routers between real threads. */
import { describe, expect, it } from "vitest";
import { FeatureProtocol, feature } from "../fixtures/actors/feature-actors.mjs";
import { actor, startThreads, supervisor } from "./built.ts";

const router = await import("../../dist/runtime/router.js");

/** The fixture is plain JavaScript: its protocol carries no types. */
interface AnyRef {
  readonly depth: number;
  call(
    name: string,
    payload: unknown,
    options: { readonly deadlineMs: number; readonly onRestart?: "retry" },
    // biome-ignore lint/suspicious/noExplicitAny: see above.
  ): Promise<any>;
  cast(name: string, payload: unknown): boolean;
}

interface Heard {
  readonly downs: string[];
  readonly news: number[];
  readonly counted: number[];
  readonly starts: number;
}

const DEADLINE = { deadlineMs: 5_000 };
const NAMES = ["listener-1", "listener-2", "listener-3"];

async function threads() {
  const children = Object.fromEntries(
    NAMES.map((name, index) => [name, actor(feature, { thread: `t${index + 1}` })]),
  );
  const started = await startThreads(supervisor({ intensity: 100, children }));
  const ref = (name: string): AnyRef => started.system.ref(FeatureProtocol, name) as AnyRef;
  const heard = async (name: string): Promise<Heard> =>
    await ref(name).call("heard", null, DEADLINE);
  const [a, b, c] = NAMES.map(ref) as [AnyRef, AnyRef, AnyRef];
  /** What the threads told each other before is known: a notice is not overtaken by a call. */
  const meet = async (): Promise<void> => {
    for (const from of [a, b, c]) {
      for (const to of NAMES) await from.call("passOn", { to, value: 1 }, DEADLINE);
    }
  };
  return { ...started, ref, heard, meet, a, b, c };
}

async function until(holds: () => Promise<boolean>, limitMs = 5_000): Promise<void> {
  const endsAt = performance.now() + limitMs;
  while (!(await holds())) {
    if (performance.now() > endsAt) throw new Error(`not so after ${limitMs} ms: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "resolved";
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe("a spawned actor of another thread", () => {
  it("is called, watched, restarted and ended over its reference", async () => {
    const { a, b, heard, meet } = await threads();
    const child: AnyRef = await b.call("spawn", {}, DEADLINE);
    expect(await child.call("double", 4, DEADLINE)).toBe(8);
    await a.call("watch", { to: child, restarts: true }, DEADLINE);
    await meet();
    expect(await codeOf(child.call("fail", null, DEADLINE))).toBe("HANDLER_FAILED");
    await until(async () => (await heard("listener-1")).downs.length === 1);
    await child.call("stop", null, DEADLINE);
    await until(async () => (await heard("listener-1")).downs.length === 2);
    const { downs } = await heard("listener-1");
    expect(downs.map((down) => down.split(" ")[1])).toEqual(["restarted", "stopped"]);
    expect(await codeOf(child.call("double", 4, DEADLINE))).toBe("ACTOR_STOPPED");
  });

  it("is lost with its thread; who takes its place gets nothing of it", async () => {
    const { system, a, b, heard, events } = await threads();
    const child: AnyRef = await b.call("spawn", {}, DEADLINE);
    await a.call("watch", { to: child }, DEADLINE);
    system.kill("listener-2");
    await until(async () => (await heard("listener-1")).downs.length === 1);
    expect((await heard("listener-1")).downs[0]).toContain("thread-lost");
    await b.call("double", 1, { ...DEADLINE, onRestart: "retry" });
    const next: AnyRef = await b.call("spawn", {}, DEADLINE);
    expect(await codeOf(child.call("double", 1, DEADLINE))).toBe("ACTOR_STOPPED");
    child.cast("count", 1);
    await until(async () =>
      events.some((event) => event.kind === "dead-letter" && event.message === "count"),
    );
    expect(((await next.call("heard", null, DEADLINE)) as Heard).counted).toEqual([]);
  });

  it("takes casts of other threads in their order, and no more than it has room for", async () => {
    const { a, b, c } = await threads();
    const child: AnyRef = await b.call("spawn", {}, DEADLINE);
    const produced = [a, c].map((producer) =>
      producer.call("produce", { to: child, count: 3_000, deadlineMs: 5_000 }, DEADLINE),
    );
    let deepest = 0;
    const looks = setInterval(() => {
      deepest = Math.max(deepest, child.depth);
    }, 1);
    await Promise.all(produced);
    clearInterval(looks);
    // A question from a third thread may pass what the two still have queued there.
    let counted: readonly number[] = [];
    for (let asked = 0; asked < 200 && counted.length < 6_000; asked++) {
      counted = ((await child.call("heard", null, DEADLINE)) as Heard).counted;
    }
    expect(counted.filter((value, index) => counted.indexOf(value) === index)).toEqual(
      Array.from({ length: 3_000 }, (_, index) => index),
    );
    expect(counted).toHaveLength(6_000);
    expect(deepest).toBeLessThanOrEqual(257);
  });
});

describe("a name", () => {
  it("is given once, however many threads want it at the same time", async () => {
    const { a, b, c, ref } = await threads();
    const names = 20;
    for (let round = 0; round < 3; round++) {
      const won = await Promise.all(
        [a, b, c].map((racer) => racer.call("race", { names, turns: 200 }, DEADLINE)),
      );
      const sum = (won as number[]).reduce((total, got) => total + got, 0);
      expect(sum).toBe(round === 0 ? names : 0);
    }
    for (let index = 0; index < names; index++) {
      expect(await ref(`name-${index}`).call("double", index, DEADLINE)).toBe(index * 2);
    }
  });

  it("leads from every thread to its actor, and is free when the thread is gone", async () => {
    const { system, a, b, c, ref, heard } = await threads();
    await b.call("spawn", { name: "worker" }, DEADLINE);
    expect(await c.call("passOn", { to: "worker", value: 5 }, DEADLINE)).toBe(10);
    await a.call("watch", { to: "worker" }, DEADLINE);
    system.kill("listener-2");
    await until(async () => (await heard("listener-1")).downs.length === 1);
    expect((await heard("listener-1")).downs).toEqual(["worker thread-lost"]);
    expect(await codeOf(ref("worker").call("double", 1, DEADLINE))).toBe("ACTOR_UNKNOWN");
    await c.call("spawn", { name: "worker" }, DEADLINE);
    expect(await a.call("passOn", { to: "worker", value: 6 }, DEADLINE)).toBe(12);
  });
});

describe("a link", () => {
  it("makes both ends fail, by an error and by the end of a thread", async () => {
    const { system, a, b, heard, meet } = await threads();
    await a.call("link", { to: "listener-2" }, DEADLINE);
    await meet();
    await codeOf(b.call("fail", null, DEADLINE));
    await until(async () => (await heard("listener-1")).starts === 2);
    await a.call("link", { to: "listener-3" }, DEADLINE);
    await meet();
    system.kill("listener-3");
    await until(async () => (await heard("listener-1")).starts === 3);
    expect((await heard("listener-2")).starts).toBe(2);
  });
});

describe("the watch of an actor of the tree", () => {
  it("outlives the end of its thread, for it comes back", async () => {
    const { system, a, b, heard } = await threads();
    await a.call("watch", { to: "listener-2", restarts: true }, DEADLINE);
    system.kill("listener-2");
    await b.call("double", 1, { ...DEADLINE, onRestart: "retry" });
    await b.call("stop", null, DEADLINE);
    await until(async () => (await heard("listener-1")).downs.length === 2);
    const { downs } = await heard("listener-1");
    expect(downs).toEqual(["listener-2 restarted", "listener-2 stopped"]);
  });
});

describe("events", () => {
  it("reach every thread, each publisher's in order", async () => {
    const { a, b, heard, meet } = await threads();
    await meet();
    const rounds = 10;
    for (let round = 0; round < rounds; round++) {
      await Promise.all([
        a.call("publish", { from: 2 * round, count: 50 }, DEADLINE),
        b.call("publish", { from: 2 * round + 1, count: 50 }, DEADLINE),
      ]);
      for (const name of NAMES) {
        await until(async () => (await heard(name)).news.length === (round + 1) * 100);
      }
    }
    for (const name of NAMES) {
      const { news } = await heard(name);
      for (const parity of [0, 1]) {
        const own = news.filter((value) => Math.floor(value / 1e6) % 2 === parity);
        expect(own).toEqual([...own].sort((left, right) => left - right));
      }
    }
  });

  it("that are too many for a busy thread are missed and counted", async () => {
    const { a, c, heard, events, meet } = await threads();
    await meet();
    const held = c.call("hold", { forMs: 150 }, DEADLINE);
    await a.call("publish", { from: 1, count: 20_000 }, DEADLINE);
    await held;
    const dead = (): number =>
      events.reduce((sum, event) => {
        const isEvent = event.kind === "dead-letter" && event.message === "(event) news";
        return isEvent ? sum + event.count : sum;
      }, 0);
    await until(async () => {
      const counts = await Promise.all(NAMES.map(async (name) => (await heard(name)).news.length));
      return counts.reduce((sum, count) => sum + count, 0) + dead() >= 3 * 20_000;
    });
    const { news } = await heard("listener-3");
    expect(news).toEqual([...news].sort((left, right) => left - right));
    expect(news.length).toBeGreaterThan(0);
    expect(dead()).toBeGreaterThan(0);
  });
});

describe("a router over threads", () => {
  it("goes on while one of its threads is replaced", async () => {
    const { system, a, b, c } = await threads();
    const all = router.roundRobin([a, b, c] as never) as AnyRef;
    system.kill("listener-2");
    const replies: number[] = [];
    for (let value = 0; value < 200; value++) {
      replies.push(await all.call("double", value, { ...DEADLINE, onRestart: "retry" }));
    }
    expect(replies).toEqual(Array.from({ length: 200 }, (_, value) => value * 2));
  });
});
