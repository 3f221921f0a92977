import { describe, expect, it, vi } from "vitest";
import { dehydrate, EsperError } from "../../../src/protocols/errors.ts";
import { Desk } from "../../../src/runtime/pool/desk.ts";
import { CancellationToken } from "../../../src/runtime/token.ts";
import { FakeCrew, type FakeCrewOptions, settle, VirtualClock } from "./support.ts";

interface Bench {
  readonly clock: VirtualClock;
  readonly crew: FakeCrew;
  readonly desk: Desk;
  /** Submits a job; `said` holds its end as soon as there is one. */
  run(deadlineMs?: number, token?: CancellationToken): { said: unknown };
}

async function open(
  crewOptions: FakeCrewOptions,
  options: { readonly queueCapacity?: number; readonly graceMs?: number } = {},
): Promise<Bench> {
  const clock = new VirtualClock();
  const desk = new Desk({ clock, queueCapacity: 4, graceMs: 100, ...options });
  let made: FakeCrew | null = null;
  await desk.open(async (events) => {
    made = new FakeCrew(events, crewOptions);
    return made;
  });
  if (made === null) throw new Error("no crew was made");
  const crew: FakeCrew = made;
  return {
    ...{ clock, crew, desk },
    run(deadlineMs = 1_000, token) {
      const seen: { said: unknown } = { said: "nothing" };
      const deadlineAtMs = clock.monotonicMs() + deadlineMs;
      desk.submit({ name: "job", input: 1, transfer: [], deadlineAtMs }, token).then(
        (value) => {
          seen.said = value;
        },
        (error: EsperError) => {
          seen.said = error.code;
        },
      );
      return seen;
    },
  };
}

const EMPTY = {
  ...{ submitted: 0, queued: 0, running: 0 },
  ...{ completed: 0, cancelled: 0, timedOut: 0, failed: 0 },
};

describe("a job", () => {
  it("waits until there is room, first come first served, and gets its value", async () => {
    const { crew, desk, run } = await open({ slots: 1 });
    const first = run();
    const second = run();
    expect(desk.account()).toEqual({ ...EMPTY, submitted: 2, running: 1, queued: 1 });
    crew.answer(0, "one");
    await settle();
    expect([first.said, second.said]).toEqual(["one", "nothing"]);
    crew.answer(1, "two");
    await settle();
    expect(second.said).toBe("two");
    expect(desk.account()).toEqual({ ...EMPTY, submitted: 2, completed: 2 });
  });

  it("fails with the code of what it threw, or as lost with its worker", async () => {
    const { crew, desk, run } = await open({ slots: 2 });
    const thrown = run();
    const lost = run();
    const error = dehydrate(new EsperError("DATA_INVALID", "bad", { row: 1 }));
    crew.end(1, { kind: "error", error });
    crew.end(2, { kind: "lost", cause: "exit code 3" });
    await settle();
    expect([thrown.said, lost.said]).toEqual(["DATA_INVALID", "JOB_LOST"]);
    expect(desk.account()).toEqual({ ...EMPTY, submitted: 2, failed: 2 });
  });

  it("is refused when too many wait, and that is no submission", async () => {
    const { desk, run } = await open({ slots: 1 }, { queueCapacity: 2 });
    const said = [run(), run(), run(), run()];
    await settle();
    expect(said.map((one) => one.said)).toEqual(["nothing", "nothing", "nothing", "BACKLOG_FULL"]);
    expect(desk.account()).toEqual({ ...EMPTY, submitted: 3, running: 1, queued: 2 });
    expect(desk.statistics().refused).toBe(1);
  });

  it("fails alone when it cannot be handed over", async () => {
    const { crew, desk, run } = await open({ slots: 1 });
    crew.refuse = new EsperError("TOKEN_LIMIT", "too many tokens");
    const refused = run();
    crew.refuse = null;
    const next = run();
    crew.answer(0, "next");
    await settle();
    expect([refused.said, next.said]).toEqual(["TOKEN_LIMIT", "next"]);
    expect(desk.account()).toEqual({ ...EMPTY, submitted: 2, failed: 1, completed: 1 });
  });
});

describe("a cancelled job", () => {
  it("is never begun when it waited or its token was set before", async () => {
    const { crew, desk, run } = await open({ slots: 1 });
    run();
    const token = new CancellationToken();
    const waiting = run(1_000, token);
    token.cancel();
    const before = run(1_000, token);
    await settle();
    expect([waiting.said, before.said]).toEqual(["CANCELLED", "CANCELLED"]);
    crew.answer(0, "x");
    await settle();
    expect(crew.started).toHaveLength(1);
    expect(desk.account()).toEqual({ ...EMPTY, submitted: 3, cancelled: 2, completed: 1 });
  });

  it("sees its token at once and is ended after the grace", async () => {
    const { clock, crew, desk, run } = await open({ slots: 1 });
    const token = new CancellationToken();
    const job = run(1_000, token);
    token.cancel();
    expect(crew.started[0]?.token.reason).toBe("requested");
    expect(crew.noticed).toEqual([1]);
    await clock.advance(99);
    expect([job.said, crew.forced]).toEqual(["nothing", []]);
    await clock.advance(2);
    expect([job.said, crew.forced]).toEqual(["CANCELLED", [1]]);
    expect(desk.statistics()).toMatchObject({ forced: 1, discarded: 0, lingering: 0 });
  });

  it("settles when its worker has let go, and what it returned is discarded", async () => {
    const { clock, crew, desk, run } = await open({ slots: 1 });
    const token = new CancellationToken();
    const job = run(1_000, token);
    token.cancel();
    token.cancel();
    await clock.advance(10);
    expect(job.said).toBe("nothing");
    crew.answer(0, "too late");
    await clock.advance(200);
    expect([job.said, crew.forced]).toEqual(["CANCELLED", []]);
    expect(desk.account()).toEqual({ ...EMPTY, submitted: 1, cancelled: 1 });
    expect(desk.statistics().discarded).toBe(1);
  });

  it("loses the rest of its grace at its deadline", async () => {
    const { clock, crew, run } = await open({ slots: 1 }, { graceMs: 10_000 });
    const token = new CancellationToken();
    const job = run(50, token);
    token.cancel();
    await clock.advance(51);
    expect([job.said, crew.forced]).toEqual(["CANCELLED", [1]]);
  });

  it("settles within 40 ms of a forced end that does not come", async () => {
    const { clock, crew, desk, run } = await open({ slots: 1, dies: false });
    const token = new CancellationToken();
    const job = run(120, token);
    token.cancel();
    await clock.advance(141);
    expect([job.said, crew.forced]).toEqual(["CANCELLED", [1]]);
    expect(desk.account()).toEqual({ ...EMPTY, submitted: 1, cancelled: 1 });
    expect(desk.statistics().lingering).toBe(1);
  });

  it("keeps its value when the token is set after the reply, and listens no more", async () => {
    const { crew, desk, run } = await open({ slots: 1 });
    const token = new CancellationToken();
    const withdraw = vi.fn();
    vi.spyOn(token, "onCancel").mockReturnValue(withdraw);
    const job = run(1_000, token);
    expect(withdraw).not.toHaveBeenCalled();
    crew.answer(0, 7);
    expect(withdraw).toHaveBeenCalledOnce();
    token.cancel();
    await settle();
    expect([job.said, crew.noticed]).toEqual([7, []]);
    expect(desk.account()).toEqual({ ...EMPTY, submitted: 1, completed: 1 });
  });

  it("is never forced out of a shared worker before that is asked whether it lives", async () => {
    const { clock, crew, desk, run } = await open({ slots: 2, forceable: false });
    const token = new CancellationToken();
    const job = run(60_000, token);
    token.cancel();
    await clock.advance(101);
    expect([job.said, crew.forced]).toEqual(["CANCELLED", []]);
    expect(desk.statistics()).toMatchObject({ forced: 0, lingering: 1 });
    await clock.advance(1_500);
    expect(crew.forced).toEqual([1]);
  });
});

describe("a deadline", () => {
  it("ends a job that waits, and one that runs, whose worker follows after the grace", async () => {
    const { clock, crew, desk, run } = await open({ slots: 1 });
    const running = run(50);
    const waiting = run(60);
    await clock.advance(51);
    expect([running.said, waiting.said]).toEqual(["DEADLINE_EXCEEDED", "nothing"]);
    expect(crew.started[0]?.token.reason).toBe("deadline");
    expect(crew.forced).toEqual([]);
    await clock.advance(10);
    expect(waiting.said).toBe("DEADLINE_EXCEEDED");
    expect(desk.account()).toEqual({ ...EMPTY, submitted: 2, timedOut: 2 });
    await clock.advance(100);
    expect(crew.forced).toEqual([1]);
    expect(crew.started).toHaveLength(1);
  });

  it("turns a value that comes later into a discarded one", async () => {
    const { clock, crew, desk, run } = await open({ slots: 1 });
    const job = run(50);
    await clock.advance(60);
    crew.answer(0, "late");
    await settle();
    expect(job.said).toBe("DEADLINE_EXCEEDED");
    expect(desk.statistics()).toMatchObject({ discarded: 1, lingering: 0 });
  });

  it("counts though the thread was too busy to notice, and by the worker's clock too", async () => {
    const { clock, crew, desk, run } = await open({ slots: 2 });
    const stalled = run(50);
    const refused = run(5_000);
    clock.stall(51);
    crew.answer(0, "late");
    crew.end(2, { kind: "late" });
    await settle();
    expect([stalled.said, refused.said]).toEqual(["DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"]);
    expect(desk.account()).toEqual({ ...EMPTY, submitted: 2, timedOut: 2 });
  });

  it("leaves nothing behind of jobs that no worker ever took", async () => {
    const { clock, crew, run } = await open({ slots: 0 });
    const token = new CancellationToken();
    const late = run(50);
    await clock.advance(51);
    expect([late.said, clock.pending]).toEqual(["DEADLINE_EXCEEDED", 0]);
    run(50, token);
    token.cancel();
    expect([crew.noticed, clock.pending]).toEqual([[], 0]);
  });

  it("leaves no timer behind when nothing waits", async () => {
    const { clock, crew, run } = await open({ slots: 2 });
    const token = new CancellationToken();
    run(50_000);
    run(40_000, token);
    expect(clock.pending).toBe(1);
    token.cancel();
    crew.answer(0, 1);
    crew.answer(1, 2);
    expect(clock.pending).toBe(0);
  });
});

describe("closing", () => {
  it("drops what waits, stops what runs, ends the workers, and refuses from then on", async () => {
    const { clock, crew, desk, run } = await open({ slots: 1 });
    const running = run();
    const waiting = run();
    const closed = desk.close(20);
    await settle();
    expect([running.said, waiting.said]).toEqual(["nothing", "CANCELLED"]);
    expect(crew.started[0]?.token.reason).toBe("stopped");
    await clock.advance(21);
    await closed;
    expect([running.said, crew.forced, crew.closed]).toEqual(["CANCELLED", [1], true]);
    const after = run();
    await settle();
    expect(after.said).toBe("POOL_CLOSED");
    expect(desk.account()).toEqual({ ...EMPTY, submitted: 2, cancelled: 2 });
    expect(clock.pending).toBe(0);
  });

  it("does not wait for the grace when everything has ended", async () => {
    const { clock, crew, desk, run } = await open({ slots: 1 });
    const job = run();
    const closed = desk.close(5_000);
    crew.answer(0, "late");
    await closed;
    expect(job.said).toBe("CANCELLED");
    expect(clock.pending).toBe(0);
  });

  it("settles even what no end reaches, once, however often it is called", async () => {
    const { clock, desk, run } = await open({ slots: 1, dies: false });
    const job = run();
    const both = Promise.all([desk.close(20), desk.close(9_000)]);
    await clock.advance(61);
    await both;
    expect(job.said).toBe("CANCELLED");
    expect(desk.account()).toEqual({ ...EMPTY, submitted: 1, cancelled: 1 });
    expect(clock.pending).toBe(0);
  });
});
