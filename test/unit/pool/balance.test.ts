/** Random histories of a pool: whatever happens in whatever order, the books balance. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { dehydrate, EsperError } from "../../../src/protocols/errors.ts";
import type { PoolAccount } from "../../../src/runtime/pool/account.ts";
import { Desk } from "../../../src/runtime/pool/desk.ts";
import { CancellationToken } from "../../../src/runtime/token.ts";
import { FakeCrew, settle, VirtualClock } from "./support.ts";

/** How long after its deadline a caller may still wait: a forced end that does not come. */
const LATE_MS = 50;
const MAX_DEADLINE_MS = 120;

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constant("submit" as const),
      deadlineMs: fc.integer({ min: 0, max: MAX_DEADLINE_MS }),
      cancellable: fc.boolean(),
      cancelledBefore: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("cancel" as const), pick: fc.nat(40) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constant("end" as const),
      pick: fc.nat(40),
      how: fc.constantFrom("value" as const, "error" as const, "lost" as const),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      what: fc.constant("advance" as const),
      byMs: fc.integer({ min: 0, max: 60 }),
    }),
  },
);

interface Submitted {
  readonly token: CancellationToken | null;
  readonly deadlineAtMs: number;
  ends: number;
  code: string | null;
  settledAtMs: number;
  cancelledAtMs: number;
}

function balance(account: PoolAccount): number {
  const { submitted, queued, running, completed, cancelled, timedOut, failed } = account;
  return submitted - (queued + running + completed + cancelled + timedOut + failed);
}

class History {
  readonly clock = new VirtualClock();
  readonly desk = new Desk({ clock: this.clock, queueCapacity: 6, graceMs: 30 });
  readonly jobs: Submitted[] = [];
  refused = 0;
  #crew: FakeCrew | null = null;

  get crew(): FakeCrew {
    if (this.#crew === null) throw new Error("not open");
    return this.#crew;
  }

  async open(forceable: boolean, dies: boolean): Promise<void> {
    await this.desk.open(async (events) => {
      this.#crew = new FakeCrew(events, { slots: 2, forceable, dies });
      return this.#crew;
    });
  }

  submit(deadlineMs: number, cancellable: boolean, cancelledBefore: boolean): void {
    const deadlineAtMs = this.clock.monotonicMs() + deadlineMs;
    const token = cancellable ? new CancellationToken() : null;
    const job: Submitted = {
      ...{ token, deadlineAtMs, ends: 0, code: null },
      ...{ settledAtMs: Number.NaN, cancelledAtMs: Number.POSITIVE_INFINITY },
    };
    if (cancelledBefore) this.cancel(job);
    const ended = (code: string): void => {
      if (code === "BACKLOG_FULL") this.refused += 1;
      job.ends += 1;
      job.code = code;
      job.settledAtMs = this.clock.monotonicMs();
      expect(balance(this.desk.account())).toBe(0);
    };
    this.jobs.push(job);
    const request = { name: "job", input: 1, transfer: [], deadlineAtMs };
    this.desk.submit(request, token ?? undefined).then(
      () => ended("value"),
      (error: EsperError) => ended(error.code),
    );
  }

  /** Cancels one that has no answer yet, if there is one, else one that has. */
  cancelOpen(pick: number): void {
    const open = this.jobs.filter(({ ends, token }) => ends === 0 && token !== null);
    const among = open.length > 0 ? open : this.jobs;
    const job = among[pick % Math.max(1, among.length)];
    if (job !== undefined) this.cancel(job);
  }

  cancel(job: Submitted): void {
    if (job.token === null) return;
    job.cancelledAtMs = Math.min(job.cancelledAtMs, this.clock.monotonicMs());
    job.token.cancel();
  }

  end(pick: number, how: "value" | "error" | "lost"): void {
    const ids = [...this.crew.running.keys()];
    const id = ids[pick % Math.max(1, ids.length)];
    if (id === undefined) return;
    const error = dehydrate(new EsperError("DATA_INVALID", "bad"));
    if (how === "value") this.crew.end(id, { kind: "value", value: 1 });
    else if (how === "error") this.crew.end(id, { kind: "error", error });
    else this.crew.end(id, { kind: "lost", cause: "it died" });
  }
}

it("balance at every moment, settle every job once and in time, and cancel for good", async () => {
  const histories = fc.asyncProperty(
    fc.array(step, { minLength: 20, maxLength: 60 }),
    fc.boolean(),
    fc.boolean(),
    async (steps, forceable, dies) => {
      const history = new History();
      await history.open(forceable, dies);
      for (const one of steps) {
        if (one.what === "submit") {
          history.submit(one.deadlineMs, one.cancellable, one.cancelledBefore);
        } else if (one.what === "cancel") history.cancelOpen(one.pick);
        else if (one.what === "end") history.end(one.pick, one.how);
        else await history.clock.advance(one.byMs);
        expect(balance(history.desk.account())).toBe(0);
        await settle();
      }
      await history.clock.advance(MAX_DEADLINE_MS + LATE_MS);
      await settle();
      expect(history.desk.account()).toMatchObject({ queued: 0, running: 0 });
      const closed = history.desk.close(10);
      await history.clock.advance(10_000);
      await closed;
      await settle();
      const { jobs, desk, refused, clock } = history;
      expect(jobs.map(({ ends }) => ends)).toEqual(jobs.map(() => 1));
      for (const job of jobs) {
        expect(job.settledAtMs).toBeLessThanOrEqual(job.deadlineAtMs + LATE_MS);
        if (job.code === "value") expect(job.settledAtMs).toBeLessThanOrEqual(job.cancelledAtMs);
      }
      const account = desk.account();
      expect(account).toMatchObject({ queued: 0, running: 0 });
      expect(account.submitted).toBe(jobs.length - refused);
      expect(desk.statistics()).toMatchObject({ refused, lingering: 0 });
      expect(clock.pending).toBe(0);
    },
  );
  await fc.assert(histories, { numRuns: 200 });
});
