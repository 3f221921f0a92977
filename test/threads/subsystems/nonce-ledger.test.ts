/** The nonce ledger on its own thread and a real disk: an id is fresh once, whatever happens. */
import { expect, it } from "vitest";
import { type ClaimVerdict, LedgerProtocol } from "../../../dist/protocols/actors/durable.js";
import { probe } from "../../fixtures/actors/thread-probe.mjs";
import { actor, CancellationToken, startThreads, supervisor } from "../built.ts";
import { burst, DEADLINE, expectOwnThread, newDirectory, RETRY, whileKilled } from "./support.ts";

const { nonceLedger } = await import("../../../dist/actors/ledger/nonce-ledger.actor.js");

const CAPACITY = 32;
const RUN = "run-1";

async function begin() {
  const directory = newDirectory();
  const config = () => ({
    directory,
    runId: RUN,
    capacity: 4_096,
    freshnessMs: 60_000,
    ttlMs: 300_000,
  });
  const started = await startThreads(
    supervisor({
      ...{ intensity: 10, periodMs: 1_000 },
      children: {
        ledger: actor(nonceLedger, { thread: "durable", config, mailbox: { capacity: CAPACITY } }),
        probe: actor(probe, { thread: "durable" }),
      },
    }),
  );
  const ref = started.system.ref(LedgerProtocol, "ledger");
  const issuedAtMs = Date.now();
  const claim = (
    counter: number,
    options: Parameters<typeof ref.call>[2] = DEADLINE,
    attempt = "",
  ): Promise<ClaimVerdict> =>
    ref.call("claim", { commandId: `${RUN}/1/${counter}`, issuedAtMs, attempt }, options);
  const size = async () => (await ref.call("status", null, DEADLINE)).size;
  return { ...started, claim, size };
}

it("runs on its own worker thread", async () => {
  const { system } = await begin();
  await expectOwnThread(system, "ledger", "durable");
});

it("refuses what its full mailbox cannot hold; a refused id stays unused", async () => {
  const { claim, size } = await begin();
  const ends = await burst(300, (index) => claim(index));
  expect(new Set(ends)).toEqual(new Set(["value", "MAILBOX_FULL"]));
  expect(await size()).toBe(ends.filter((end) => end === "value").length);
  expect(await claim(ends.indexOf("value"))).toBe("replayed");
  expect(await claim(ends.indexOf("MAILBOX_FULL"))).toBe("fresh");
});

it("does not use up the id of a claim that was cancelled before its turn", async () => {
  const { claim, size } = await begin();
  const token = new CancellationToken();
  const ends = burst(20, (index) => claim(index, index < 10 ? DEADLINE : { ...DEADLINE, token }));
  token.cancel();
  expect(await ends).toEqual([...Array(10).fill("value"), ...Array(10).fill("CANCELLED")]);
  expect(await size()).toBe(10);
  expect(await claim(10)).toBe("fresh");
  expect(await claim(0)).toBe("replayed");
});

it("remembers every id, and who asked, when its thread is killed twice in the middle", async () => {
  const started = await begin();
  const { system, claim, size } = started;
  const plan = { steps: 30, killedBefore: [10, 20] };
  const verdicts = await whileKilled(started, "ledger", plan, (step) => {
    // Several at once, so that a kill finds claims in one flush. A claim whose answer died with the
    // thread is asked again under the same name, and is the one that used the id.
    const ids = [0, 1, 2, 3].map((part) => 4 * step + part);
    return Promise.all(ids.map((id) => claim(id, RETRY, `asking-${id}`)));
  });
  expect(system.restarts).toBeGreaterThanOrEqual(4);
  expect(verdicts.flat()).toEqual(Array(120).fill("fresh"));
  expect(await size()).toBe(120);
  for (let index = 0; index < 120; index += 7) {
    expect(await claim(index)).toBe("replayed");
    expect(await claim(index, DEADLINE, "somebody-else")).toBe("replayed");
  }
});
