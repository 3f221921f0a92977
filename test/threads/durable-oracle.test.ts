/** The judges of the durable drills: what they must find, and that they find nothing else. */
import { describe, expect, it } from "vitest";
import { keeps, nameOf, payloadOf } from "../../harness/drills/durable/contents.ts";
import { type Judgement, Oracle, type SeenRecord } from "../../harness/drills/durable/oracle.ts";
import { decodeTold, encodeTold, type Told } from "../../harness/drills/durable/told.ts";
import { readTrace } from "../../harness/drills/durable/trace-read.ts";

const SEED = 9;
const FIRST_TIME_MS = 100;

const record = (sequence: number, index: number, life = 1): SeenRecord => ({
  sequence,
  timeMs: FIRST_TIME_MS * life + index,
  payload: payloadOf(SEED, { life, index }),
});

/** One life that offered so many records, of which the first ones were acknowledged, in order. */
function lifeOf(offers: number, acknowledged: number, life = 1, before = 0): Told[] {
  const indexes = (count: number) => Array.from({ length: count }, (_, index) => index);
  return [
    { kind: "ready", index: 0, value: before },
    ...indexes(offers).map(
      (index): Told => ({ kind: "offer", index, value: FIRST_TIME_MS * life + index }),
    ),
    ...indexes(acknowledged).map(
      (index): Told => ({ kind: "acknowledged", index, value: before + 1 + index }),
    ),
  ];
}

const log = (count: number): SeenRecord[] =>
  Array.from({ length: count }, (_, index) => record(index + 1, index));

function judge(records: readonly SeenRecord[], told = lifeOf(8, 5)): Judgement {
  const oracle = new Oracle(SEED);
  oracle.hear(1, told);
  return oracle.look(records);
}

const verdictOf = ({ lost, phantom, disordered }: Judgement) => ({
  ...{ lost: lost.length, phantom: phantom.length, disordered: disordered.length },
});
const CLEAN = { lost: 0, phantom: 0, disordered: 0 };

describe("the oracle of killed writers", () => {
  it.each([5, 6, 8])("finds nothing when the first %d of 8 offers are there", (count) => {
    const found = judge(log(count));
    expect(verdictOf(found)).toEqual(CLEAN);
    expect(found.unacknowledged).toBe(count - 5);
  });

  it("names every acknowledged record that is missing at the end", () => {
    const found = judge(log(3));
    expect(verdictOf(found)).toEqual({ ...CLEAN, lost: 2 });
    expect(found.lost[0]).toContain("record 3 of life 1");
  });

  it("names a hole, acknowledged or not", () => {
    const holed = (at: number) => log(8).filter(({ sequence }) => sequence !== at);
    expect(verdictOf(judge(holed(2)))).toEqual({ ...CLEAN, lost: 1 });
    expect(verdictOf(judge(holed(7)))).toEqual({ ...CLEAN, lost: 1 });
  });

  it.each<[string, (records: SeenRecord[]) => void]>([
    ["one that was never offered", (records) => records.push(record(9, 8))],
    ["one of another life", (records) => records.push(record(9, 0, 2))],
    [
      "one with another byte",
      ([first]) => {
        first!.payload[20]! ^= 1;
      },
    ],
    [
      "one with another time",
      (records) => {
        records[6] = { ...records[6]!, timeMs: 7 };
      },
    ],
    [
      "one that is too short to be any",
      (records) => {
        records[7] = { ...records[7]!, payload: new Uint8Array(3) };
      },
    ],
  ])("names %s a phantom", (_, change) => {
    const records = log(8);
    change(records);
    expect(judge(records).phantom).toHaveLength(1);
  });

  it("names records out of order, doubled, or under another number than was promised", () => {
    const [one, two, ...rest] = log(8);
    const swapped = [{ ...two!, sequence: 1 }, { ...one!, sequence: 2 }, ...rest];
    expect(judge(swapped).disordered.length).toBeGreaterThan(0);
    expect(judge([...log(8), record(9, 7)]).disordered).toHaveLength(1);
    const late = log(8).map((each) => ({ ...each, sequence: each.sequence + 1 }));
    expect(judge(late).disordered).toHaveLength(5);
  });

  it("expects again what was there once, byte for byte", () => {
    const oracle = new Oracle(SEED);
    oracle.hear(1, lifeOf(8, 5));
    expect(verdictOf(oracle.look(log(7)))).toEqual(CLEAN);
    oracle.hear(2, lifeOf(2, 1, 2, 7));
    const second = [record(8, 0, 2), record(9, 1, 2)];
    expect(verdictOf(oracle.look([...log(7), ...second]))).toEqual(CLEAN);
    oracle.hear(3, []);
    expect(verdictOf(oracle.look([...log(6), ...second]))).toEqual({ ...CLEAN, lost: 1 });
    oracle.hear(4, []);
    expect(verdictOf(oracle.look([...log(7), ...second]))).toEqual({ ...CLEAN, phantom: 1 });
  });

  it("lets go what the writer had leave to remove, and nothing else", () => {
    const pruned = [
      ...lifeOf(8, 8),
      { kind: "prune", index: 0, value: FIRST_TIME_MS + 2 } as const,
      { kind: "compact", index: 0, value: 6 } as const,
    ];
    const without = (...gone: number[]) =>
      log(8).filter(({ sequence }) => !gone.includes(sequence - 1));
    expect([0, 4].map((index) => keeps({ life: 1, index }))).toEqual([false, false]);
    expect(verdictOf(judge(without(0, 1, 4), pruned))).toEqual(CLEAN);
    expect(verdictOf(judge(without(2), pruned))).toEqual({ ...CLEAN, lost: 1 });
    expect(verdictOf(judge(without(4), lifeOf(8, 8)))).toEqual({ ...CLEAN, lost: 1 });
  });
});

describe("what is told over the pipe", () => {
  it("comes back as it was, up to a message that was cut off", () => {
    const told = lifeOf(3, 2);
    const bytes = Buffer.concat(told.map((one) => encodeTold(one)));
    expect(decodeTold(bytes)).toEqual(told);
    expect(decodeTold(bytes.subarray(0, -1))).toEqual(told.slice(0, -1));
  });
});

const hex = (bytes: Uint8Array): string =>
  `"${[...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("")}"`;
const payload = (index: number) => hex(payloadOf(SEED, { life: 1, index }));
const told = (index: number) => hex(encodeTold({ kind: "acknowledged", index, value: 1 }));

/** Calls of a tracer's file: the writes and syncs of thread 7, the acknowledgements of thread 5. */
const CALL = {
  write: (index: number, fd = 17) => `7 10:00:00.1 pwrite64(${fd}, ${payload(index)}, 9, 0) = 9`,
  sync: (fd = 17) => `7 10:00:00.2 fdatasync(${fd})                    = 0`,
  syncBegins: (fd = 17) => `7 10:00:00.2 fdatasync(${fd} <unfinished ...>`,
  syncEnds: "7 10:00:00.4 <... fdatasync resumed>)     = 0",
  syncFails: "7 10:00:00.2 fdatasync(17) = -1 EIO (Input/output error)",
  close: "7 10:00:00.3 close(17) = 0",
  acknowledge: (index: number) => `5 10:00:00.5 write(3, ${told(index)}, 24) = 24`,
};

describe("the reader of system calls", () => {
  it("finds nothing when each write was synced before its acknowledgement", async () => {
    const lines = [
      ...[CALL.write(0), CALL.write(1), CALL.syncBegins(), CALL.syncEnds],
      ...[CALL.acknowledge(0), CALL.acknowledge(1)],
    ];
    const found = await readTrace(lines, SEED, 1);
    expect(found).toEqual({ acknowledgements: 2, syncs: 1, writes: 2, early: [] });
  });

  it.each<[string, string[]]>([
    ["no sync at all", [CALL.write(0), CALL.acknowledge(0)]],
    ["a sync that goes on", [CALL.write(0), CALL.syncBegins(), CALL.acknowledge(0), CALL.syncEnds]],
    ["a sync that failed", [CALL.write(0), CALL.syncFails, CALL.acknowledge(0)]],
    ["the sync of another file", [CALL.write(0), CALL.sync(18), CALL.acknowledge(0)]],
    [
      "a sync that began before the write",
      [CALL.syncBegins(), `8${CALL.write(0).slice(1)}`, CALL.syncEnds, CALL.acknowledge(0)],
    ],
    [
      "a file closed before its sync",
      [CALL.write(0), CALL.close, CALL.sync(), CALL.acknowledge(0)],
    ],
    ["another record's write", [CALL.write(1), CALL.sync(), CALL.acknowledge(0)]],
  ])("names an acknowledgement behind %s", async (_, lines) => {
    const { early, acknowledgements } = await readTrace(lines, SEED, 1);
    expect(acknowledgements).toBe(1);
    expect(early).toHaveLength(1);
    expect(early[0]).toContain("record 0");
  });
});

it("a record says which one it is, and no two are alike", () => {
  const seen = new Set<string>();
  for (let index = 0; index < 500; index++) {
    const bytes = payloadOf(SEED, { life: 3, index });
    expect(nameOf(bytes)).toEqual({ life: 3, index });
    seen.add(Buffer.from(bytes).toString("base64"));
  }
  expect(seen.size).toBe(500);
});
