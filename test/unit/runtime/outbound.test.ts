import { describe, expect, it } from "vitest";
import { Outbound } from "../../../src/runtime/thread/outbound.ts";
import { RingConsumer, ringMemory } from "../../../src/runtime/wire/ring.ts";
import { ThreadBlock, threadBlockMemory } from "../../../src/runtime/wire/thread-block.ts";

const BULK = 3;
const FRAME_BYTES = 64;

function outbound() {
  const rings = [0, 1, 2, 3].map(() => ringMemory(1_024));
  const own = new ThreadBlock(threadBlockMemory());
  const peer = new ThreadBlock(threadBlockMemory());
  let looks = 0;
  const bell = { ring: () => {}, close: () => {} };
  const sender = new Outbound(rings, own, peer, bell, () => {
    looks += 1;
  });
  const send = (value: number): void => {
    const view = sender.begin(BULK, FRAME_BYTES, false);
    if (view === null) throw new Error("the frame was refused");
    view.i32[sender.at >> 2] = value;
    sender.commit(BULK);
  };
  const consumer = new RingConsumer(rings[BULK] as SharedArrayBuffer);
  return { sender, send, consumer, looks: () => looks };
}

describe("what finds a ring full", () => {
  it("asks the loop to look once more, for room may come while the thread sleeps", () => {
    const { sender, send, looks } = outbound();
    let sent = 0;
    while (sender.spilled === 0) send(sent++);
    expect(looks()).toBe(1);
    send(sent++);
    expect(looks()).toBe(2);
  });

  it("is sent in order when there is room again", () => {
    const { sender, send, consumer } = outbound();
    let sent = 0;
    while (sender.spilled < 10) send(sent++);
    expect(sender.canFlush).toBe(false);
    const read: number[] = [];
    for (let round = 0; round < 4; round++) {
      for (let at = consumer.next(); at >= 0; at = consumer.next()) {
        read.push(consumer.i32[at >> 2] as number);
        consumer.advance();
      }
      consumer.grantRoom();
      if (sender.canFlush) sender.flush();
    }
    expect(sender.spilled).toBe(0);
    expect(read).toEqual(Array.from({ length: sent }, (_, value) => value));
  });
});
