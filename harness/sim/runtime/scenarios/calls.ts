/** Every call has an end by its deadline, and leaves nothing behind. */
import { actor, CancellationToken, createRandom, EsperError, supervisor } from "esper-runtime";
import type { Scenario, TestKit } from "esper-runtime/testkit";
import { SinkProtocol, sink } from "../actors.ts";
import { Ledger, linked, must, mustBeCalm } from "../ledger.ts";

const CALLS = 24;
/** What a deadline may be late by, virtual time. */
const LATE_MS = 50;
const LONGEST_MS = 120;

interface Asked {
  readonly value: number;
  readonly deadlineAtMs: number;
  readonly token: CancellationToken;
  settledAtMs: number;
  answer: unknown;
}

function ask(kit: TestKit, value: number, to: string): Asked {
  const { random, clock } = kit;
  const deadlineMs = 1 + random.integer(LONGEST_MS);
  const token = new CancellationToken();
  const deadlineAtMs = clock.monotonicMs() + deadlineMs;
  const asked: Asked = { value, deadlineAtMs, token, settledAtMs: -1, answer: null };
  const holdMs = random.integer(LONGEST_MS) >> random.integer(6);
  const options = {
    ...{ deadlineMs, token },
    onRestart: random.integer(2) === 0 ? "fail" : "retry",
  } as const;
  const ref = kit.ref(SinkProtocol, to);
  const other = to === "one" ? "two" : "one";
  const call =
    random.integer(3) === 0
      ? ref.call("pass", { value, holdMs, to: other }, options)
      : ref.call("ask", { value, holdMs }, options);
  const note = (answer: unknown): void => {
    must(asked.settledAtMs < 0, "a call settles once");
    asked.settledAtMs = clock.monotonicMs();
    asked.answer = answer;
  };
  call.then(note, note);
  return asked;
}

function mustHaveEnded({ value, deadlineAtMs, settledAtMs, answer }: Asked): void {
  must(settledAtMs >= 0, `call ${value} has an end`);
  const lateMs = settledAtMs - deadlineAtMs;
  must(lateMs <= LATE_MS, `call ${value} ends by its deadline (${lateMs} ms late)`);
  if (answer instanceof EsperError) {
    must(answer.code !== "HANDLER_FAILED", `call ${value} is told what happened`);
    return;
  }
  must(answer === value, `call ${value} gets its own answer (${String(answer)})`);
  must(lateMs <= 0, `call ${value} is not answered after its deadline`);
}

/** Calls with short deadlines, cancelled, forwarded, across crashes and the death of a thread. */
export const calls: Scenario = {
  name: "calls",
  async run(start) {
    const ledger = new Ledger(createRandom(23, "ledger"));
    const config = () => ({ ledger });
    const children = {
      one: actor(sink, { thread: "one", mailbox: { capacity: 8, overflow: "wait" }, config }),
      two: actor(sink, { thread: "two", mailbox: { capacity: 8 }, config }),
      home: actor(sink, { thread: "main", mailbox: { capacity: 8 }, config }),
    };
    const kit = await linked(start, supervisor({ intensity: 1_000, children }), {
      ringBytes: 1_024,
    });
    const before = kit.tokensInUse;
    kit.sometime("crash", () => kit.crash("one"), 300);
    kit.sometime("kill", () => kit.kill("two"), 300);
    const all: Asked[] = [];
    for (let value = 0; value < CALLS; value++) {
      all.push(ask(kit, value, ["one", "two", "home"][kit.random.integer(3)] ?? "one"));
      if (kit.random.integer(3) === 0) await kit.advance(kit.random.integer(10));
      if (kit.random.integer(4) === 0) all[kit.random.integer(all.length)]?.token.cancel();
    }
    await kit.advance(10_000);
    for (const asked of all) mustHaveEnded(asked);
    mustBeCalm(kit);
    for (const { token } of all) token.release();
    const left = kit.tokensInUse - before;
    must(left <= 0, `no slot of a shared token is kept (${left})`);
  },
};
