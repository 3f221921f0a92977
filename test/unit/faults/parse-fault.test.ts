import { describe, expect, it } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import { endsThread } from "../../../src/runtime/faults/fault.ts";
import { parseFault } from "../../../src/runtime/faults/parse-fault.ts";

const PLAIN = {
  ...{ message: null, value: null, nth: null, every: null, probability: null, seed: null },
  ...{ times: null, afterMs: 0, untilMs: null },
};

function refusal(text: string): EsperError {
  try {
    parseFault(text);
  } catch (error) {
    if (error instanceof EsperError) return error;
  }
  throw new Error(`${text} was expected to be refused`);
}

describe("the text of a fault", () => {
  it.each([
    ["kill:tamiyo@n=700", { kind: "kill", actor: "tamiyo", message: null, nth: 700, times: 1 }],
    [
      "slow:kasmina.apply=50ms@every=10",
      { kind: "slow", actor: "kasmina", message: "apply", value: 50, every: 10 },
    ],
    [
      "drop:nissa.ingest@p=0.1,seed=3",
      { kind: "drop", actor: "nissa", message: "ingest", probability: 0.1, seed: 3 },
    ],
    ["exit:a=0", { kind: "exit", actor: "a", value: 0, times: 1 }],
    [
      "duplicate:*=2000@after=2s,until=1m",
      { kind: "duplicate", actor: "*", value: 2_000, afterMs: 2_000, untilMs: 60_000 },
    ],
    [
      "crash:#worker.run@p=1,times=4",
      { kind: "crash", actor: "#worker", message: "run", probability: 1, times: 4 },
    ],
    ["wedge:tolaria=2s", { kind: "wedge", actor: "tolaria", value: 2_000, times: 1 }],
  ])("%s says what, where and when", (text, wanted) => {
    expect(parseFault(text)).toEqual({ ...PLAIN, ...wanted, text });
  });

  it.each([
    ["crash:a", 1],
    ["oom:a.b", 1],
    ["crash:a@every=3", null],
    ["crash:a@p=0.5", null],
    ["crash:a@every=3,times=2", 2],
    ["slow:a=1ms", null],
    ["drop:a", null],
    ["drop:a@times=9", 9],
  ])("%s strikes at most %s times", (text, times) => {
    expect(parseFault(text).times).toBe(times);
  });

  it.each([
    ["kill:a", true],
    ["exit:a=0", true],
    ["wedge:a", true],
    ["wedge:a=10ms", false],
    ["poison:a", false],
    ["drop:a", false],
  ])("%s ends its thread: %s", (text, ends) => {
    expect(endsThread(parseFault(text))).toBe(ends);
  });
});

describe("a text that is no fault", () => {
  it.each([
    ["", "the whole", "<kind>:<actor>"],
    ["kill", "the whole", "<kind>:<actor>"],
    ["kil:a", "the kind", "kill, crash"],
    ["Kill:a", "the kind", "kill"],
    ["toString:a", "the kind", "kill"],
    ["kill:a b", "the actor", "an actor's name"],
    ["kill:a.b.c", "the actor", "an actor's name"],
    ["kill:##a", "the actor", "#protocol"],
    ["kill:a=3", "the value of kill", "no value"],
    ["slow:a", "the value of slow", "a time from 1ms to 60m"],
    ["slow:a=", "the value of slow", "a time"],
    ["slow:a=50", "the value of slow", "as 50ms"],
    ["slow:a=0ms", "the value of slow", "1ms"],
    ["slow:a=61m", "the value of slow", "60m"],
    ["exit:a=256", "the value of exit", "0 to 255"],
    ["duplicate:a=0", "the value of duplicate", "1 to 100000"],
    ["kill:a@", "the condition", "n=, every="],
    ["kill:a@at=3", "the condition", "n=, every="],
    ["kill:a@constructor=3", "the condition", "n="],
    ["kill:a@n", "n", "a whole number"],
    ["kill:a@n=0", "n", "from 1"],
    ["kill:a@n=1.5", "n", "a whole number"],
    ["kill:a@n=1=2", "n", "a whole number"],
    ["kill:a@n=-1", "n", "a whole number"],
    ["kill:a@n=1,n=2", "n", "each condition once"],
    ["drop:a@p=0", "p", "above 0"],
    ["drop:a@p=1.01", "p", "at most 1"],
    ["drop:a@p=NaN", "p", "above 0"],
    ["drop:a@p=1e-3", "p", "above 0"],
    ["drop:a@seed=3", "seed", "seed with p"],
    ["kill:a@n=3,every=2", "n", "without every"],
    ["kill:a@after=2s,until=2s", "until", "later than after"],
    [`kill:${"a".repeat(300)}`, "the whole", "<kind>:<actor>"],
  ])("%s: %s is refused with what is allowed", (text, path, allowed) => {
    const error = refusal(text);
    expect(error.code).toBe("CONFIG_INVALID");
    expect(error.details).toMatchObject({ path });
    expect(error.message).toContain(allowed);
  });

  it("gets a suggestion when it is nearly one", () => {
    expect(refusal("crsh:a").message).toContain("crash");
    expect(refusal("kill:a@evry=3").message).toContain("every");
  });
});
