/** The ends of a ring in real threads; each role writes or checks records by their number. */
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { RingConsumer, RingProducer } from "../../dist/runtime/wire/ring.js";
import { SlabBorrower } from "../../dist/runtime/wire/slab.js";
import { ThreadBlock } from "../../dist/runtime/wire/thread-block.js";
import { park, resume, wakeIfIdle } from "../../dist/runtime/wire/wake.js";
import { fillRecord, isRecord, recordBytes } from "./ring-record.mjs";

/** Work done at once before the thread lets its port deliver. */
const TURN = 512;

/** The thread's loop: `turn` says what comes next, and the bell wakes it when it sleeps. */
function run({ own, bell }, turn, result) {
  const block = new ThreadBlock(own);
  let asleep = false;
  let sleeps = 0;
  const loop = () => {
    const next = turn(block);
    asleep = next === "sleep";
    if (asleep) sleeps++;
    else if (next === "done") parentPort.postMessage({ ...result(), sleeps });
    else setImmediate(loop);
  };
  block.own();
  bell.on("message", () => {
    if (!asleep) return;
    asleep = false;
    resume(block);
    loop();
  });
  loop();
}

/** Sends until `count`, asleep whenever the ring is full. */
function send({ memory, own, peer, bell, count, seed }) {
  const ring = new RingProducer(memory);
  const consumer = new ThreadBlock(peer);
  let number = 1;
  const sendOne = () => {
    const bytes = recordBytes(number, seed);
    const at = ring.reserve(bytes);
    if (at === -1) return false;
    fillRecord(ring.u8, at, bytes, number);
    ring.publish();
    number++;
    if (wakeIfIdle(consumer)) bell.postMessage(0);
    return true;
  };
  const turn = (block) => {
    for (let n = 0; n < TURN && number <= count; n++) {
      if (sendOne()) continue;
      ring.requestRoom();
      return park(block, () => ring.roomGranted()) ? "sleep" : "more";
    }
    return number <= count ? "more" : "done";
  };
  run({ own, bell }, turn, () => ({ sent: number - 1 }));
}

/** Checks `count` records, asleep whenever the ring is empty. */
function receive({ memory, own, peer, bell, count, seed }) {
  const ring = new RingConsumer(memory);
  const producer = new ThreadBlock(peer);
  let wrong = 0;
  const drain = () => {
    let handled = 0;
    for (let at = ring.next(); at !== -1 && handled < TURN; at = ring.next()) {
      const number = ring.records + 1;
      const isLong = ring.length === recordBytes(number, seed);
      if (!isLong || !isRecord(ring.u8, at, ring.length, number)) wrong++;
      ring.advance();
      handled++;
      if ((handled & 31) === 0) ring.release();
    }
    return handled > 0;
  };
  const turn = (block) => {
    const worked = drain();
    if (ring.grantRoom() && wakeIfIdle(producer)) bell.postMessage(0);
    if (ring.records >= count) return "done";
    return !worked && park(block, () => !ring.isEmpty()) ? "sleep" : "more";
  };
  run({ own, bell }, turn, () => ({ received: ring.records, wrong }));
}

/** Writes as fast as it can until it is terminated; it spins while the ring is full. */
function flood({ memory, first, seed }) {
  const ring = new RingProducer(memory);
  parentPort.postMessage("writing");
  for (let number = first; ; number++) {
    const bytes = recordBytes(number, seed);
    let at = ring.reserve(bytes);
    while (at === -1) at = ring.reserve(bytes);
    fillRecord(ring.u8, at, bytes, number);
    ring.publish();
  }
}

/** Handles records in place, noting each in shared memory, until it is terminated. */
function handle({ memory, handled, wrong, seed }) {
  const ring = new RingConsumer(memory);
  parentPort.postMessage("reading");
  for (;;) {
    const at = ring.next();
    if (at === -1) continue;
    const number = ring.i32[at >> 2];
    if (!isRecord(ring.u8, at, recordBytes(number, seed), number)) Atomics.add(wrong, 0, 1);
    Atomics.add(handled, number, 1);
    ring.advance();
    ring.release();
  }
}

/** Reads bodies in place by their handles and gives the slots back, until a record without one. */
function borrow({ memory, arenas, thread }) {
  const ring = new RingConsumer(memory);
  const borrower = new SlabBorrower(thread, () => {
    for (;;) {
      const posted = receiveMessageOnPort(arenas);
      if (posted === undefined) return;
      borrower.addArena(posted.message);
    }
  });
  let wrong = 0;
  for (let bodies = 1; ; bodies++) {
    let at = ring.next();
    while (at === -1) at = ring.next();
    if (ring.length === 0) return parentPort.postMessage({ bodies: bodies - 1, wrong });
    const handle = { place: ring.i32[at >> 2], generation: ring.i32[(at >> 2) + 1] };
    const body = borrower.view(handle);
    if (!isRecord(body, 0, body.length, bodies) || !borrower.free(handle)) wrong++;
    ring.advance();
    ring.release();
  }
}

const ROLES = { borrow, send, receive, flood, handle };
ROLES[workerData.role](workerData);
