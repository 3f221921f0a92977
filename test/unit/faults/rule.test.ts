import { describe, expect, it } from "vitest";
import { parseFault } from "../../../src/runtime/faults/parse-fault.ts";
import { faultCounters, Rule, type Subject } from "../../../src/runtime/faults/rule.ts";

const SUBJECT: Subject = {
  ...{ actor: "tamiyo", protocol: "tamiyo", spawned: false },
  ...{ message: "decide", isCall: true },
};

function armed(text: string, overrides: { seed?: number } = {}) {
  const counters = faultCounters();
  const one = {
    id: 0,
    fault: parseFault(text),
    fromMs: 1_000,
    seed: overrides.seed ?? 7,
    counters,
  };
  return { rule: new Rule(one), elsewhere: new Rule(one) };
}

function strikes(rule: Rule, messages: number): number[] {
  const numbers = Array.from({ length: messages }, (_, index) => index + 1);
  return numbers.filter(() => rule.strikesNow(1_000));
}

describe("an armed fault", () => {
  it("strikes at the nth message only, whichever threads see the messages", () => {
    const { rule, elsewhere } = armed("kill:tamiyo@n=5");
    const seen = Array.from({ length: 20 }, (_, index) =>
      (index % 2 === 0 ? rule : elsewhere).strikesNow(1_000),
    );
    expect(seen.indexOf(true)).toBe(4);
    expect(seen.filter(Boolean)).toHaveLength(1);
    expect(elsewhere.strikes).toBe(1);
  });

  it("strikes at every nth message, at most as often as is said", () => {
    expect(strikes(armed("crash:a@every=4").rule, 12)).toEqual([4, 8, 12]);
    expect(strikes(armed("crash:a@every=4,times=2").rule, 40)).toEqual([4, 8]);
    expect(strikes(armed("crash:a").rule, 40)).toEqual([1]);
  });

  it("draws the same from the same seed, and about as often as is said", () => {
    const first = strikes(armed("drop:a@p=0.1,seed=3", { seed: 3 }).rule, 10_000);
    const again = strikes(armed("drop:a@p=0.1,seed=3", { seed: 3 }).rule, 10_000);
    const other = strikes(armed("drop:a@p=0.1,seed=3", { seed: 4 }).rule, 10_000);
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
    // Four standard deviations around 1,000.
    expect(first.length).toBeGreaterThan(880);
    expect(first.length).toBeLessThan(1_120);
  });

  it("counts nothing outside its time", () => {
    const { rule } = armed("crash:a@after=10ms,until=20ms,n=2");
    const at = (nowMs: number): boolean => rule.strikesNow(nowMs);
    expect([at(1_000), at(1_009), at(1_010), at(1_020), at(1_019)]).toEqual([
      ...[false, false, false, false, true],
    ]);
  });

  it("strikes no more, in any thread, once it is lifted", () => {
    const { rule, elsewhere } = armed("drop:a");
    expect(elsewhere.strikesNow(1_000)).toBe(true);
    rule.lift();
    expect(elsewhere.strikesNow(1_000)).toBe(false);
    expect(rule.strikes).toBe(1);
  });

  it.each([
    ["crash:tamiyo", true],
    ["crash:tamiyo.decide", true],
    ["crash:tamiyo.other", false],
    ["crash:nissa", false],
    ["crash:*", true],
    ["crash:*.decide", true],
    ["crash:#tamiyo", false],
    ["drop:tamiyo", true],
    ["duplicate:tamiyo", false],
    ["delay:tamiyo=1ms", false],
  ])("%s is about a call of tamiyo.decide: %s", (text, matches) => {
    expect(armed(text).rule.matches(SUBJECT)).toBe(matches);
  });

  it("of a protocol is about its spawned actors", () => {
    const { rule } = armed("crash:#worker.run");
    const spawned = { actor: "worker#7", protocol: "worker", spawned: true, isCall: false };
    expect(rule.matches({ ...spawned, message: "run" })).toBe(true);
    expect(rule.matches({ ...spawned, message: "rest" })).toBe(false);
    expect(rule.matches({ ...spawned, message: "run", protocol: "waiter" })).toBe(false);
  });
});
