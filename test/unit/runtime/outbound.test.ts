import { describe, expect, it } from "vitest";
import { HeldBells } from "../../../src/runtime/thread/held-bells.ts";
import { Outbound } from "../../../src/runtime/thread/outbound.ts";
import { RingConsumer, ringMemory } from "../../../src/runtime/wire/ring.ts";
import { ThreadBlock, threadBlockMemory } from "../../../src/runtime/wire/thread-block.ts";

const BULK = 3;
const FRAME_BYTES = 64;

function outbound(held = new HeldBells()) {
  const rings = [0, 1, 2, 3].map(() => ringMemory(1_024));
  const own = new ThreadBlock(threadBlockMemory());
  const peer = new ThreadBlock(threadBlockMemory());
  let looks = 0;
  let bells = 0;
  const ring = (): void => {
    bells += 1;
  };
  const lookAgain = (): void => {
    looks += 1;
  };
  const sender = new Outbound(rings, own, peer, { ring, close: () => {} }, lookAgain, held);
  const send = (value: number): void => {
    const view = sender.begin(BULK, FRAME_BYTES, false);
    if (view === null) throw new Error("the frame was refused");
    view.i32[sender.at >> 2] = value;
    sender.commit(BULK);
  };
  const consumer = new RingConsumer(rings[BULK] as SharedArrayBuffer);
  return { sender, send, consumer, peer, looks: () => looks, bells: () => bells };
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

describe("the bell of a thread that sleeps", () => {
  it("rings at once, or after what runs now when it is held", async () => {
    const held = new HeldBells();
    const { send, peer, bells } = outbound(held);
    const sleep = (): void => {
      expect(peer.toIdle()).toBe(true);
    };
    sleep();
    send(1);
    expect(bells()).toBe(1);
    peer.toRunning();
    sleep();
    held.hold();
    send(2);
    // What a promise goes on with belongs to what runs now.
    const more = Promise.resolve().then(() => bells());
    held.hold();
    send(3);
    expect(bells()).toBe(1);
    await more;
    await null;
    expect(bells()).toBe(2);
    peer.toRunning();
    sleep();
    send(4);
    expect(bells()).toBe(3);
  });
});
