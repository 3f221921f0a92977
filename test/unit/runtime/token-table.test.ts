import { describe, expect, it } from "vitest";
import { CancellationToken } from "../../../src/runtime/token.ts";
import {
  adoptOwnTable,
  attachTable,
  detachTable,
  ownTable,
  reasonCode,
  sweepTable,
  TOKEN_SLOTS,
  TokenTable,
  tokenTableMemory,
} from "../../../src/runtime/token-table.ts";

/** A table as another thread would own it, attached here. */
function foreignTable(id: number) {
  const memory = tokenTableMemory();
  attachTable(id, memory);
  return { memory, owner: new TokenTable(id, memory) };
}

describe("a token table", () => {
  it("gives every slot out once, then again in the order of return, a generation later", () => {
    const { owner } = foreignTable(10);
    const slots = Array.from({ length: TOKEN_SLOTS }, () => owner.allocate(null));
    expect(new Set(slots.map(({ handle }) => handle.slot)).size).toBe(TOKEN_SLOTS);
    expect(() => owner.allocate(null)).toThrow("4096");
    for (const index of [9, 3]) owner.free(slots[index] as never);
    expect(owner.used).toBe(TOKEN_SLOTS - 2);
    const again = [owner.allocate(null), owner.allocate(null)].map(({ handle }) => handle);
    expect(again.map(({ slot }) => slot)).toEqual([9, 3]);
    expect(again.map(({ generation }) => generation)).toEqual([2, 2]);
    detachTable(10);
  });

  it("takes generations up to 28 bits and starts again from zero", () => {
    const { memory, owner } = foreignTable(11);
    new Int32Array(memory)[0] = (2 ** 28 - 1) << 4;
    const slot = owner.allocate(5);
    expect([slot.handle.generation, slot.state]).toEqual([0, 1]);
    owner.free(slot);
    new Int32Array(memory)[0] = (2 ** 28 - 2) << 4;
    const last = owner.allocate(null);
    expect([last.handle.generation, last.state]).toEqual([2 ** 28 - 1, 1]);
    const copy = CancellationToken.attach(last.handle);
    expect(copy.cancelled).toBe(false);
    last.cancel(reasonCode("stopped"));
    expect(copy.reason).toBe("stopped");
    detachTable(11);
  });

  it("of a thread that is gone is swept: its tokens are cancelled, cancelled ones stay so", () => {
    const { owner } = foreignTable(12);
    const [live, done] = [owner.allocate(null), owner.allocate(null)];
    done.cancel(reasonCode("deadline"));
    const copies = [live, done].map(({ handle }) => CancellationToken.attach(handle));
    sweepTable(12);
    expect(copies.map(({ reason }) => reason)).toEqual(["caller-gone", "deadline"]);
    detachTable(12);
  });

  it("is known by one id in this thread, until it is detached", () => {
    const { memory, owner } = foreignTable(13);
    const { handle } = owner.allocate(null);
    const copy = CancellationToken.attach(handle);
    attachTable(13, memory);
    expect(() => attachTable(13, tokenTableMemory())).toThrow("token table 13");
    detachTable(13);
    expect(() => CancellationToken.attach(handle)).toThrow("not known here");
    expect(copy.cancelled).toBe(false);
    attachTable(13, tokenTableMemory());
    expect(CancellationToken.attach(handle).cancelled).toBe(true);
    detachTable(13);
    expect(() => attachTable(14, new SharedArrayBuffer(64))).toThrow("bytes");
  });

  it("can be adopted once, and stays the thread's own", () => {
    const own = ownTable();
    adoptOwnTable(own.id, own.memory);
    detachTable(own.id);
    expect(ownTable()).toBe(own);
    expect(() => adoptOwnTable(5, tokenTableMemory())).toThrow("cannot adopt 5");
    const token = new CancellationToken();
    expect(token.handle.table).toBe(own.id);
    expect(CancellationToken.attach(token.handle).cancelled).toBe(false);
    token.release();
  });
});
