/**
 * Faults that are put into the runtime by doubles: the explorer must find each of them. Doubles of
 * the shared words also let threads interleave between two accesses to memory.
 */
import { actor, cast, defineActor, EsperError, protocol, supervisor } from "esper-runtime";
import { explore, type Scenario, simulate, type TestKit } from "esper-runtime/testkit";
import { afterEach, describe, expect, it, vi } from "vitest";
import { RUNTIME_SCENARIOS } from "../../../harness/sim/runtime/run.ts";
import { Credits } from "../../../src/runtime/thread/credits.ts";
import { Mesh } from "../../../src/runtime/thread/mesh.ts";
import { Waiting } from "../../../src/runtime/thread/waiting-room.ts";
import { ThreadBlock } from "../../../src/runtime/wire/thread-block.ts";

const LIMIT_MS = 60_000;

afterEach(() => {
  vi.restoreAllMocks();
});

function scenario(name: string): Scenario {
  const found = RUNTIME_SCENARIOS.find((one) => one.name === name);
  if (found === undefined) throw new Error(`there is no scenario ${name}`);
  return found;
}

type Words<T> = {
  [K in keyof T]: T[K] extends (...given: never[]) => unknown ? K : never;
}[keyof T];

/** Every access by one of `names` may be interrupted, before and after. */
function interruptible<T extends object>(
  prototype: T,
  names: readonly (Words<T> & string)[],
  interrupt: () => void,
): void {
  for (const name of names) {
    const real = prototype[name] as (...given: unknown[]) => unknown;
    const double = function (this: unknown, ...given: unknown[]): unknown {
      interrupt();
      const result = real.apply(this, given);
      interrupt();
      return result;
    };
    vi.spyOn(prototype, name as never).mockImplementation(double as never);
  }
}

/** The scenario with threads that interleave at every access to the words they share. */
function finely(base: Scenario): Scenario {
  let kit: TestKit | null = null;
  const interrupt = (): void => kit?.interrupt();
  const shared = ["take", "release", "awaitRoom", "takeWaiting", "closeCast", "retake"] as const;
  interruptible(Credits.prototype, shared, interrupt);
  interruptible(ThreadBlock.prototype, ["claimWake", "toIdle", "toRunning"], interrupt);
  return {
    name: base.name,
    run: async (start, seed) => {
      kit = null;
      await base.run(async (...given) => {
        kit = await start(...given);
        return kit;
      }, seed);
    },
  };
}

async function failureOf(broken: Scenario): Promise<EsperError> {
  try {
    await explore(broken, { seeds: 200 });
  } catch (error) {
    if (error instanceof EsperError) return error;
    throw error;
  }
  throw new Error("the explorer found nothing");
}

const BallProtocol = protocol("ball", { hit: cast<number>() });

const player = defineActor(import.meta.url, BallProtocol, {
  setup: ({ config }) => config as { readonly other: string; missed: number },
  receive: {
    hit(state, left, context) {
      state.missed = left;
      if (left > 0) context.ref(BallProtocol, state.other).cast("hit", left - 1);
    },
  },
});

/** One message goes to and fro; both threads fall asleep after every hit. */
const rally: Scenario = {
  name: "rally",
  run: async (start) => {
    const one = { other: "two", missed: 40 };
    const two = { other: "one", missed: 40 };
    const children = {
      one: actor(player, { thread: "left", config: () => one }),
      two: actor(player, { thread: "right", config: () => two }),
    };
    const kit = await start(supervisor({ children }));
    await kit.advance(0);
    kit.ref(BallProtocol, "one").cast("hit", 40);
    await kit.run(() => one.missed === 0);
  },
};

describe("between any two accesses to shared words", () => {
  it.each(["waiting", "credits", "order"])(
    "%s holds",
    async (name) => {
      const { steps } = await explore(finely(scenario(name)), { seeds: 40 });
      expect(steps).toBeGreaterThan(4_000);
    },
    LIMIT_MS,
  );
});

describe("the explorer finds", () => {
  it(
    "a place that is given back twice",
    async () => {
      const real = Credits.prototype.release;
      let count = 0;
      vi.spyOn(Credits.prototype, "release").mockImplementation(function (this: Credits, ...given) {
        count += 1;
        if (count % 16 === 0) real.apply(this, given);
        return real.apply(this, given);
      });
      const error = await failureOf(scenario("credits"));
      expect(error.code).toBe("SIMULATION_FAILED");
      expect(error.message).toMatch(/--seed \d+/);
    },
    LIMIT_MS,
  );

  it(
    "a sender that does not look again after it has asked for room",
    async () => {
      let hasAsked = false;
      const fine = finely(scenario("waiting"));
      const ask = Credits.prototype.awaitRoom;
      vi.spyOn(Credits.prototype, "awaitRoom").mockImplementation(function (
        this: Credits,
        ...given
      ) {
        ask.apply(this, given);
        hasAsked = true;
      });
      const attempt = Waiting.prototype.attempt;
      vi.spyOn(Waiting.prototype, "attempt").mockImplementation(function (this: Waiting) {
        const skipped = hasAsked;
        hasAsked = false;
        return skipped ? false : attempt.apply(this);
      });
      const error = await failureOf(fine);
      expect(error.message).toMatch(/waiting broke under seed \d+: it did not come to/);
    },
    LIMIT_MS,
  );

  it(
    "a thread that sleeps though work came at the last moment, and repeats it exactly",
    async () => {
      const fine = finely(rally);
      expect(await explore(fine, { seeds: 50 })).toMatchObject({ runs: 50 });
      vi.spyOn(Mesh.prototype, "pending").mockReturnValue(false);
      const { details } = await failureOf(fine);
      const seed = Number(details["seed"]);
      const chaos = Number(details["chaos"]);
      const one = await simulate(fine, seed, chaos);
      const two = await simulate(fine, seed, chaos);
      expect(one.failure).not.toBeNull();
      expect(two.digest).toBe(one.digest);
    },
    LIMIT_MS,
  );
});
