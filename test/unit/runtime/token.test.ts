import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import { CancellationToken, TOKEN_DEPTH } from "../../../src/runtime/token.ts";
import {
  type CancelReason,
  ownTable,
  TOKEN_SLOTS,
  type TokenHandle,
} from "../../../src/runtime/token-table.ts";

const copyOf = (token: CancellationToken) => CancellationToken.attach(token.handle);

function failure(run: () => unknown): EsperError {
  try {
    run();
  } catch (error) {
    return error as EsperError;
  }
  throw new Error("it was expected to throw");
}

describe("a token", () => {
  it("stays as the first one cancelled it", () => {
    const token = new CancellationToken();
    expect([token.cancelled, token.reason, token.deadlineAtMs]).toEqual([false, null, null]);
    token.throwIfCancelled();
    token.cancel("stopped");
    token.cancel("requested");
    expect([token.cancelled, token.reason]).toEqual([true, "stopped"]);
    const error = failure(() => token.throwIfCancelled());
    expect(error).toBeInstanceOf(EsperError);
    expect([error.code, error.details]).toEqual(["CANCELLED", { reason: "stopped" }]);
  });

  it("takes an unknown reason, as an event listener would pass it, for a request", () => {
    const token = new CancellationToken();
    token.cancel({ type: "abort" } as never);
    expect(token.reason).toBe("requested");
  });

  it("runs its listeners once, in order, at once when it is too late, unless withdrawn", () => {
    const token = new CancellationToken();
    const ran: string[] = [];
    token.onCancel(() => ran.push("first"));
    const withdraw = token.onCancel(() => ran.push("withdrawn"));
    token.onCancel(() => {
      ran.push("second");
      token.onCancel(() => ran.push("nested"));
    });
    withdraw();
    withdraw();
    token.cancel();
    token.cancel();
    token.onCancel(() => ran.push("late"))();
    expect(ran).toEqual(["first", "second", "nested", "late"]);
  });

  it("runs all listeners though one fails, and lets the failure out", () => {
    const token = new CancellationToken();
    const ran: string[] = [];
    const { signal } = token;
    token.onCancel(() => {
      throw new RangeError("a listener's own bug");
    });
    token.onCancel(() => ran.push("other"));
    expect(() => token.cancel()).toThrow(RangeError);
    expect([ran, signal.aborted, token.cancelled]).toEqual([["other"], true, true]);
  });

  it("shows itself as one signal, aborted with the coded reason", () => {
    const token = new CancellationToken();
    const { signal } = token;
    expect([token.signal === signal, signal.aborted]).toEqual([true, false]);
    token.cancel("deadline");
    expect(signal.aborted).toBe(true);
    expect(signal.reason).toMatchObject({ code: "CANCELLED", details: { reason: "deadline" } });
    const late = new CancellationToken();
    late.cancel();
    expect(late.signal.aborted).toBe(true);
  });

  it("follows a signal, and leaves it alone after its release", () => {
    const controller = new AbortController();
    const followed = CancellationToken.from(controller.signal);
    const released = CancellationToken.from(controller.signal);
    released.release();
    expect(followed.cancelled).toBe(false);
    controller.abort();
    expect([followed.reason, released.reason]).toEqual(["requested", "released"]);
    expect(CancellationToken.from(controller.signal).cancelled).toBe(true);
  });

  it("is cancelled by a poll after its deadline", () => {
    const token = new CancellationToken({ deadlineAtMs: 500 });
    expect([token.poll(499.9), token.cancelled]).toEqual([false, false]);
    expect([token.poll(500), token.cancelled, token.reason]).toEqual([true, true, "deadline"]);
    expect(() => new CancellationToken({ deadlineAtMs: Number.NaN })).toThrow("point in time");
  });
});

describe("children", () => {
  it("are cancelled with their parent, but not it with them", () => {
    const parent = new CancellationToken();
    const [one, two] = [parent.child(), parent.child()];
    one.cancel();
    expect([parent.cancelled, two.cancelled]).toEqual([false, false]);
    parent.cancel();
    expect([one.reason, two.reason, parent.reason]).toEqual(["requested", "parent", "requested"]);
    expect(parent.child().reason).toBe("parent");
  });

  it("have the earlier deadline of their own and their parent's", () => {
    const parent = new CancellationToken({ deadlineAtMs: 100 });
    const limits = [undefined, { deadlineAtMs: 50 }, { deadlineAtMs: 900 }].map(
      (options) => parent.child(options).deadlineAtMs,
    );
    expect(limits).toEqual([100, 50, 100]);
    expect(new CancellationToken().child({ deadlineAtMs: 7 }).deadlineAtMs).toBe(7);
  });

  it("nest so deep and no deeper", () => {
    let deepest = new CancellationToken();
    const root = deepest;
    for (let depth = 0; depth < TOKEN_DEPTH; depth++) deepest = deepest.child();
    const error = failure(() => deepest.child());
    expect([error.code, error.details]).toEqual([
      ...["TOKEN_LIMIT", { depth: TOKEN_DEPTH + 1, limit: TOKEN_DEPTH }],
    ]);
    root.cancel();
    expect(deepest.reason).toBe("parent");
  });

  it("see at a poll that another thread cancelled their parent, and pass it on", () => {
    const parent = new CancellationToken();
    // As in the thread that got the parent by a message: nothing has noticed the word yet.
    const child = copyOf(parent).child();
    const grandchild = copyOf(child);
    const ran: string[] = [];
    child.onCancel(() => ran.push("child"));
    parent.cancel();
    expect(grandchild.cancelled).toBe(false);
    expect(child.cancelled).toBe(true);
    expect([grandchild.cancelled, child.reason, ran]).toEqual([true, "parent", []]);
    child.noticed();
    expect(ran).toEqual(["child"]);
  });
});

describe("copies of a token", () => {
  it("see one word, and each runs its own listeners once it notices", () => {
    const here = new CancellationToken({ deadlineAtMs: 900 });
    const there = copyOf(here);
    const ran: string[] = [];
    here.onCancel(() => ran.push("here"));
    there.onCancel(() => ran.push("there"));
    expect([there.noticed(), there.deadlineAtMs]).toEqual([false, 900]);
    here.cancel("stopped");
    expect([there.cancelled, there.reason, ran]).toEqual([true, "stopped", ["here"]]);
    expect([there.noticed(), there.noticed(), ran]).toEqual([true, true, ["here", "there"]]);
    expect(there.signal.aborted).toBe(true);
  });

  it("can cancel it for all; the first reason wins across threads", () => {
    const here = new CancellationToken();
    const there = copyOf(here);
    there.cancel("deadline");
    here.cancel("requested");
    expect([here.reason, there.reason]).toEqual(["deadline", "deadline"]);
  });

  it("of a token that was cancelled before it was shared are cancelled", () => {
    const token = new CancellationToken();
    token.cancel("stopped");
    expect(copyOf(token).reason).toBe("stopped");
  });

  it("do not end the token by their own release", () => {
    const here = new CancellationToken();
    const there = copyOf(here);
    there.release();
    expect([here.cancelled, there.reason]).toEqual([false, "released"]);
    expect(copyOf(here).cancelled).toBe(false);
    here.release();
  });

  it("read as cancelled once the slot is free, and when it is another's", () => {
    const first = new CancellationToken();
    const { handle } = first;
    const copy = copyOf(first);
    first.release();
    expect([copy.cancelled, copy.reason]).toEqual([true, "released"]);
    expect(CancellationToken.attach(handle).reason).toBe("released");
    // The slot is given out again only after all others: take them all once.
    const others = Array.from({ length: TOKEN_SLOTS - ownTable().used }, () => {
      const token = new CancellationToken();
      return { token, handle: token.handle };
    });
    const heir = others.find((other) => other.handle.slot === handle.slot);
    expect(heir?.handle.generation).toBe(handle.generation + 1);
    copy.cancel("stopped");
    const stale = CancellationToken.attach(handle);
    expect([stale.reason, stale.deadlineAtMs]).toEqual(["released", null]);
    stale.cancel();
    expect(heir?.token.cancelled).toBe(false);
    for (const { token } of others) token.release();
  });
});

describe("slots", () => {
  it("are taken by lending and come back with the last return", () => {
    const before = ownTable().used;
    const token = new CancellationToken();
    expect(ownTable().used).toBe(before);
    const copies = [token.lend(), token.lend()].map((handle) => CancellationToken.attach(handle));
    expect(ownTable().used).toBe(before + 1);
    token.returned();
    expect(copies.map(({ cancelled }) => cancelled)).toEqual([false, false]);
    token.returned();
    token.returned();
    expect(ownTable().used).toBe(before);
    expect(copies.map(({ reason }) => reason)).toEqual(["released", "released"]);
    expect(token.cancelled).toBe(false);
  });

  it("keep what another thread did to a token that was only lent", () => {
    const token = new CancellationToken();
    CancellationToken.attach(token.lend()).cancel("stuck");
    token.returned();
    expect([token.cancelled, token.reason]).toEqual([true, "stuck"]);
  });

  it("stay with a token whose handle was asked for, until its release", () => {
    const before = ownTable().used;
    {
      using token = new CancellationToken();
      const { handle } = token;
      expect(token.lend()).toEqual(handle);
      token.returned();
      expect([ownTable().used, token.handle]).toEqual([before + 1, handle]);
    }
    expect(ownTable().used).toBe(before);
  });

  it("run out with a coded error that leaves the token usable in its thread", () => {
    const free = TOKEN_SLOTS - ownTable().used;
    const tokens = Array.from({ length: free }, () => new CancellationToken());
    for (const token of tokens) token.lend();
    const late = new CancellationToken();
    for (const share of [() => late.lend(), () => late.handle]) {
      expect(failure(share)).toMatchObject({ code: "TOKEN_LIMIT", details: { limit: 4_096 } });
    }
    expect(late.cancelled).toBe(false);
    for (const token of tokens) token.returned();
    expect(copyOf(late).cancelled).toBe(false);
    late.release();
  });

  it("of dropped tokens come back with the garbage, and of released ones only once", async () => {
    await collectGarbage();
    const before = ownTable().used;
    const handles = dropTokens(50);
    const copy = CancellationToken.attach(handles[0] as TokenHandle);
    expect([ownTable().used, copy.cancelled]).toEqual([before + 50, false]);
    await collectGarbage();
    expect([ownTable().used, copy.reason]).toEqual([before, "released"]);
  });

  it("cancel what goes on under a token at its release", () => {
    const ran: string[] = [];
    const token = new CancellationToken();
    const child = token.child();
    token.onCancel(() => ran.push("left over"));
    token.release();
    token.release();
    expect([ran, child.reason, token.reason]).toEqual([["left over"], "parent", "released"]);
  });
});

describe("a parent", () => {
  it("does not keep children that are over", async () => {
    const parent = new CancellationToken();
    const over = [
      (child: CancellationToken) => child.cancel(),
      (child: CancellationToken) => child.release(),
    ];
    const children = over.map((end) => {
      const child = parent.child();
      end(child);
      return new WeakRef(child);
    });
    await collectGarbage();
    expect(children.map((child) => child.deref())).toEqual([undefined, undefined]);
    expect(parent.cancelled).toBe(false);
  });
});

describe("a handle", () => {
  it("that points nowhere is refused", () => {
    const { handle } = new CancellationToken();
    const wrong: TokenHandle[] = [
      ...[
        { ...handle, table: 77 },
        { ...handle, slot: -1 },
        { ...handle, slot: TOKEN_SLOTS },
      ],
      ...[
        { ...handle, slot: 1.5 },
        { ...handle, generation: 2 ** 28 },
      ],
    ];
    for (const each of wrong) {
      const error = failure(() => CancellationToken.attach(each));
      expect([error.code, error.details]).toEqual([
        "FRAME_MALFORMED",
        expect.objectContaining(each),
      ]);
    }
  });

  it("survives a structured clone, and each reason crosses", () => {
    const reasons: CancelReason[] = ["requested", "deadline", "parent", "stopped"];
    for (const reason of [...reasons, "caller-gone", "stuck", "released"] as CancelReason[]) {
      const token = new CancellationToken();
      const copy = CancellationToken.attach(structuredClone(token.handle));
      token.cancel(reason);
      expect(copy.reason).toBe(reason);
      token.release();
    }
  });
});

/** Shares `count` tokens and drops them, and as many that were released before. */
function dropTokens(count: number): TokenHandle[] {
  return Array.from({ length: count }, () => {
    const released = new CancellationToken();
    expect(released.handle.slot).toBeGreaterThanOrEqual(0);
    released.release();
    return new CancellationToken().handle;
  });
}

let finalized = 0;
const finalizer = new FinalizationRegistry(() => {
  finalized += 1;
});

/** Collects until the finalizers of all that was dropped have run. */
async function collectGarbage(): Promise<void> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const wanted = finalized + 3;
  for (let round = 0; finalized < wanted && round < 400; round++) {
    finalizer.register({}, null);
    await new Promise((resolve) => setTimeout(resolve, 1));
    collect();
  }
  expect(finalized).toBeGreaterThanOrEqual(wanted);
}
