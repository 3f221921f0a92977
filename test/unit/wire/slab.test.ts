import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SlabBorrower, SlabOwner } from "../../../src/runtime/wire/slab.ts";
import type { ArenaMemory, SlabHandle } from "../../../src/runtime/wire/slab-arena.ts";

const KIB = 1_024;
const MIB = KIB * KIB;

/** One sender (thread 1) and the receivers 2 and 3; announcements arrive only when fetched. */
function slab(limitBytes = 64 * MIB) {
  const owner = new SlabOwner({ thread: 1, epoch: 1, limitBytes });
  const posted: ArenaMemory[] = [];
  owner.onArena((arena) => posted.push(arena));
  const borrower = (thread: number): SlabBorrower => {
    let read = 0;
    const made: SlabBorrower = new SlabBorrower(thread, () => {
      for (; read < posted.length; read++) made.addArena(posted[read] as ArenaMemory);
    });
    return made;
  };
  return { owner, posted, two: borrower(2), three: borrower(3) };
}

function lent(handle: SlabHandle | null): SlabHandle {
  if (handle === null) throw new Error("the slab had no room");
  return handle;
}

const malformed = expect.objectContaining({ code: "FRAME_MALFORMED" });

describe("a large body", () => {
  it.each([0, 1, 16 * KIB, 16 * KIB + 1, 300_000, 5 * MIB])(
    "of %i bytes is read in place as it was put",
    (bytes) => {
      const { owner, two } = slab();
      const body = new Uint8Array(bytes).map((_, at) => at % 251);
      const handle = lent(owner.put(body, 2));
      expect(Number.isInteger(handle.place) && handle.place >>> 31).toBe(0);
      expect(Buffer.compare(two.view(handle), body)).toBe(0);
      expect(two.view(handle).buffer).toBeInstanceOf(SharedArrayBuffer);
      expect([owner.slotsOut, two.free(handle), owner.slotsOut]).toEqual([1, true, 0]);
    },
  );

  it("may be written in place through typed arrays before its handle is sent", () => {
    const { owner, two } = slab();
    const handle = lent(owner.put(64, 2));
    const { f64, i32, offset, bytes } = owner.place(handle);
    f64[offset >> 3] = 0.5;
    i32[(offset >> 2) + 2] = -7;
    const read = two.place(handle);
    expect([bytes, read.bytes, offset % 8]).toEqual([64, 64, 0]);
    expect([read.f64[read.offset >> 3], read.i32[(read.offset >> 2) + 2]]).toEqual([0.5, -7]);
    expect([owner.cancel(handle), owner.cancel(handle), owner.slotsOut]).toEqual([true, false, 0]);
  });

  it("above the largest class, or of no size, is refused", () => {
    const { owner } = slab();
    for (const bytes of [16 * MIB + 1, -1, Number.NaN]) {
      expect(() => owner.put(bytes, 2)).toThrowError(
        expect.objectContaining({ code: "FRAME_TOO_LARGE" }),
      );
    }
  });
});

describe("a slot", () => {
  it("is only its borrower's, and only until it is freed", () => {
    const { owner, two, three } = slab();
    const handle = lent(owner.put(Uint8Array.of(1), 2));
    expect(() => three.view(handle)).toThrowError(malformed);
    expect([three.take(handle), three.free(handle)]).toEqual([false, false]);
    expect([two.free(handle), two.free(handle)]).toEqual([true, false]);
    expect(() => two.view(handle)).toThrowError(malformed);
    expect(() => owner.view(handle)).toThrowError(malformed);
  });

  it("is not harmed by a handle that was made up", () => {
    const { owner, two } = slab();
    const { place, generation } = lent(owner.put(Uint8Array.of(1), 2));
    const made = [
      { place, generation: generation + 1 },
      { place: place + 200, generation },
      { place: place ^ (1 << 20), generation },
      { place: -1, generation: -1 },
    ];
    for (const handle of made) {
      expect(() => two.view(handle)).toThrowError(malformed);
      expect([two.free(handle), two.take(handle)]).toEqual([false, false]);
    }
    expect(owner.slotsOut).toBe(1);
  });

  it("cannot be freed late by a fenced thread once it is lent again", () => {
    const { owner, two, three } = slab(17 * 16 * KIB * 4 + 8 * KIB);
    const first = lent(owner.put(Uint8Array.of(1), 2));
    two.view(first);
    expect(owner.reclaimFrom(2, "free")).toBe(1);
    const again: SlabHandle[] = [];
    for (let handle = owner.put(Uint8Array.of(9), 3); handle !== null; ) {
      again.push(handle);
      handle = owner.put(Uint8Array.of(9), 3);
    }
    expect(again.map(({ place }) => place)).toContain(first.place);
    expect(two.free(first)).toBe(false);
    for (const handle of again) expect(three.view(handle)).toEqual(Uint8Array.of(9));
    expect(owner.slotsOut).toBe(again.length);
  });
});

describe("the death of a borrower", () => {
  it("gives back what it had taken and keeps what its replacement will read", () => {
    const { owner, two } = slab();
    const taken = lent(owner.put(Uint8Array.of(1), 2));
    const unread = lent(owner.put(Uint8Array.of(2), 2));
    const others = lent(owner.put(Uint8Array.of(3), 3));
    expect([two.take(taken), two.take(taken)]).toEqual([true, true]);
    expect(two.view(taken)).toEqual(Uint8Array.of(1));
    expect([owner.reclaimFrom(2, "keep"), owner.slotsOut]).toEqual([1, 2]);
    expect(() => two.view(taken)).toThrowError(malformed);
    expect(two.view(unread)).toEqual(Uint8Array.of(2));
    expect([owner.reclaimFrom(2, "free"), owner.slotsOut]).toEqual([1, 1]);
    expect(owner.view(others)).toEqual(Uint8Array.of(3));
  });
});

describe("the memory", () => {
  it("is announced before the first handle into it, once", () => {
    const { owner, posted } = slab();
    expect(posted).toHaveLength(0);
    owner.put(1, 2);
    owner.put(1, 2);
    expect(posted).toHaveLength(1);
    owner.put(100 * KIB, 2);
    expect(posted.map(({ slotBytes }) => slotBytes)).toEqual([16 * KIB, 256 * KIB]);
    expect(owner.arenas).toEqual(posted);
  });

  it("is bounded: no handle above the limit, and room again after a free", () => {
    const { owner, two } = slab(3 * MIB);
    const handles: SlabHandle[] = [];
    for (let handle = owner.put(64 * KIB, 2); handle !== null; handle = owner.put(64 * KIB, 2)) {
      handles.push(handle);
    }
    expect(handles.length).toBe(32);
    expect(owner.heldBytes).toBeLessThanOrEqual(3 * MIB);
    expect(two.free(handles[0] as SlabHandle)).toBe(true);
    expect(owner.put(64 * KIB, 2)).not.toBeNull();
  });

  it("goes from a size class that is not in use to one that is", () => {
    const { owner, two, posted } = slab(3 * MIB + 64 * KIB);
    const retired: ArenaMemory[] = [];
    owner.onRetired((arena) => {
      retired.push(arena);
      two.retireArena(arena);
    });
    const small = Array.from({ length: 192 }, () => lent(owner.put(1, 2)));
    expect([posted.length, owner.put(MIB, 2)]).toEqual([3, null]);
    const kept = small.pop();
    for (const handle of small) expect(two.free(handle)).toBe(true);
    const big = lent(owner.put(MIB, 2));
    expect([two.place(big).bytes, two.place(lent(kept ?? null)).bytes]).toEqual([MIB, 1]);
    expect([retired.length, owner.arenas.length, two.arenaCount]).toEqual([2, 2, 2]);
    expect(owner.heldBytes).toBeLessThanOrEqual(3 * MIB + 64 * KIB);
  });

  it("of an earlier sender with the same number is another arena", () => {
    const { owner, posted, two } = slab();
    const old = lent(owner.put(Uint8Array.of(1), 2));
    expect(two.view(old)).toEqual(Uint8Array.of(1));
    const next = new SlabOwner({ thread: 1, epoch: 2 });
    next.onArena((arena) => posted.push(arena));
    const fresh = lent(next.put(Uint8Array.of(2), 2));
    expect([two.view(old), two.view(fresh)]).toEqual([Uint8Array.of(1), Uint8Array.of(2)]);
    two.forget(1);
    expect(two.arenaCount).toBe(0);
  });
});

/** What should be lent, beside what is. */
class Loans {
  readonly held: { handle: SlabHandle; mark: number; taken: boolean }[] = [];
  readonly both = slab(5 * MIB);

  put(pick: number, mark: number): void {
    const handle = this.both.owner.put(new Uint8Array(1 + pick * 99).fill(mark), 2);
    if (handle !== null) this.held.push({ handle, mark, taken: false });
  }

  die(): void {
    const kept = this.held.filter(({ taken }) => !taken);
    expect(this.both.owner.reclaimFrom(2, "keep")).toBe(this.held.length - kept.length);
    this.held.splice(0, this.held.length, ...kept);
  }

  use(pick: number, what: "take" | "free"): void {
    const at = pick % Math.max(1, this.held.length);
    const chosen = this.held[at];
    if (chosen === undefined) return;
    const view = this.both.two.view(chosen.handle);
    expect([view[0], view.at(-1)]).toEqual([chosen.mark, chosen.mark]);
    if (what === "free") this.held.splice(at, 1);
    else chosen.taken = true;
    expect(this.both.two[what](chosen.handle)).toBe(true);
  }
}

describe("random puts, takes, frees and deaths", () => {
  it("never mix two bodies and never lose a slot", () => {
    const kinds = fc.constantFrom("put", "put", "take", "free", "die");
    const action = fc.tuple(kinds, fc.nat(1_000));
    fc.assert(
      fc.property(fc.array(action, { maxLength: 150 }), (actions) => {
        const loans = new Loans();
        actions.forEach(([what, pick], index) => {
          if (what === "put") loans.put(pick, index & 255);
          else if (what === "die") loans.die();
          else if (what === "take" || what === "free") loans.use(pick, what);
          expect(loans.both.owner.slotsOut).toBe(loans.held.length);
        });
      }),
      { numRuns: 60 },
    );
  });
});
