/** Restarts in the middle of everything: who is restarted, how often, and in which order. */
import { actor, cast, defineActor, InvariantViolation, protocol, supervisor } from "esper-runtime";
import type { Scenario, TestKit } from "esper-runtime/testkit";
import { linked, must, mustBeCalm } from "../ledger.ts";

const NAMES = ["a", "b", "c"] as const;
const STRATEGIES = ["one_for_one", "one_for_all", "rest_for_one"] as const;
const CRASHES = 5;

const LifeProtocol = protocol("life", { fail: cast<null>(), nothing: cast<null>() });

/** What the actors themselves saw of their lives. */
class Lives {
  readonly starts = new Map<string, number>();
  readonly order: string[] = [];
  readonly #alive = new Set<string>();
  readonly #inOrder: boolean;

  constructor(inOrder: boolean) {
    this.#inOrder = inOrder;
  }

  began(name: string, starts: number): void {
    const later = NAMES.filter((other) => other > name && this.#alive.has(other));
    must(!this.#inOrder || later.length === 0, `${later.join()} ended before ${name} began again`);
    must(!this.#alive.has(name), `${name} is not started before its last life is over`);
    must(starts === (this.starts.get(name) ?? 0) + 1, `start ${starts} of ${name} is the next`);
    this.#alive.add(name);
    this.starts.set(name, starts);
    this.order.push(name);
  }

  ended(name: string): void {
    must(this.#alive.delete(name), `${name} ends a life that it had begun`);
    this.order.push(`-${name}`);
  }
}

const life = defineActor(import.meta.url, LifeProtocol, {
  supervision: { intensity: 1_000, periodMs: 1_000 },
  setup: async ({ name, starts, config, clock }) => {
    const lives = config as Lives;
    lives.began(name, starts);
    if (starts % 2 === 0) await new Promise<void>((resolve) => void clock.after(1, resolve));
    return { lives, name };
  },
  receive: {
    fail: () => {
      throw new InvariantViolation("as it was told");
    },
    nothing: () => {},
  },
  stop: ({ lives, name }) => lives.ended(name),
});

/** Only an actor's own failures restart the first; a failure is never without its restart. */
function mustFit(kit: TestKit, strategy: string, starts: readonly number[]): void {
  NAMES.forEach((name, at) => {
    const failures = kit.events.filter((one) => one.kind === "crashed" && one.actor === name);
    const restarts = (starts[at] ?? 0) - 1;
    const text = `${strategy}: ${name} failed ${failures.length}, restarted ${restarts} times`;
    const alone = strategy === "one_for_one" || (strategy === "rest_for_one" && at === 0);
    must(alone ? restarts === failures.length : restarts >= failures.length, text);
  });
}

/** Each strategy, three actors on three threads, crashes at any moment. */
export const strategies: Scenario = {
  name: "strategies",
  async run(start, seed) {
    const strategy = STRATEGIES[seed % STRATEGIES.length] ?? "one_for_one";
    const lives = new Lives(strategy !== "one_for_one");
    const config = () => lives;
    const children = {
      a: actor(life, { thread: "main", config }),
      b: actor(life, { thread: "left", config }),
      c: actor(life, { thread: "right", config }),
    };
    const kit = await linked(start, supervisor({ strategy, intensity: 1_000, children }));
    must(lives.order.join() === "a,b,c", "actors start from left to right");
    await disturb(kit);
    mustBeCalm(kit);
    const starts = NAMES.map((name) => kit.status(name).starts);
    const seen = NAMES.map((name) => lives.starts.get(name) ?? 0);
    must(starts.join() === seen.join(), `counted ${starts.join()}, lived ${seen.join()}`);
    mustFit(kit, strategy, starts);
    await kit.stop();
    must(lives.order.slice(-3).join() === "-c,-b,-a", "actors stop from right to left");
  },
};

async function disturb(kit: TestKit): Promise<void> {
  for (let crash = 0; crash < CRASHES; crash++) {
    const name = NAMES[kit.random.integer(3)] ?? "a";
    const how = kit.random.integer(2);
    const action = (): void => {
      if (how === 0) kit.crash(name);
      else kit.ref(LifeProtocol, name).cast("fail", null);
    };
    kit.sometime(`fail ${name}`, action, 60);
  }
  await kit.advance(20_000);
}
