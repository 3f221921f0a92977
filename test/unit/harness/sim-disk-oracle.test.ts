import { dirname } from "node:path";
import { describe, expect, it } from "vitest";
import { exploreSeeds } from "../../../harness/sim/durable/exploration.ts";
import { everyCallCrashes, everyCallFails } from "../../../harness/sim/durable/fault-loop.ts";
import { Told } from "../../../harness/sim/durable/told.ts";
import {
  coded,
  itemOf,
  type Life,
  payloadOf,
  type Workload,
} from "../../../harness/sim/durable/workload.ts";

const PATH = "/run/state";

/** A careful owner of one file, and what a careless one leaves out or does besides. */
interface Carelessness {
  readonly skipsSync?: true;
  readonly skipsDirectory?: true;
  readonly syncsAgain?: true;
  readonly leavesOpen?: true;
  readonly throwsItsOwn?: true;
  readonly overwrites?: true;
}

async function replace({ files, told }: Life, how: Carelessness): Promise<void> {
  const item = told.offer();
  const target = how.overwrites ? PATH : `${PATH}.tmp`;
  const file = await coded(files.open(target, "write"));
  if (file === null) {
    if (how.throwsItsOwn) throw new TypeError("not one of the product's errors");
    return;
  }
  const sync = async (): Promise<true | null> => {
    const once = await coded(file.sync().then(() => true as const));
    return once === null && how.syncsAgain ? coded(file.sync().then(() => true as const)) : once;
  };
  const done = await coded(
    file
      .truncate(0)
      .then(() => file.write(payloadOf(item), 0))
      .then(async () => (how.skipsSync ? true : sync())),
  );
  const closed =
    how.leavesOpen && done === null ? true : await coded(file.close().then(() => true));
  if (done === null || closed === null) return;
  if (!how.overwrites) {
    const moved = await coded(files.rename(target, PATH).then(() => true));
    if (moved === null) return;
  }
  const named = how.skipsDirectory
    ? true
    : await coded(files.syncDirectory(dirname(PATH)).then(() => true));
  if (named !== null) told.acknowledge(item);
}

const owner = (how: Carelessness): Workload => ({
  name: "owner",
  keeps: "latest",
  async run(life) {
    if ((await coded(life.files.makeDirectory("/run").then(() => true))) === null) return;
    for (let left = 3; left > 0; left--) await replace(life, how);
  },
  async recover({ files }) {
    const bytes = await coded(files.read(PATH));
    return bytes === null || bytes.length === 0 ? [] : [itemOf(bytes)];
  },
});

const everything = async (workload: Workload): Promise<void> => {
  await everyCallCrashes(workload);
  for (const persistent of [false, true]) {
    await everyCallFails(workload, { errno: "EIO", persistent });
  }
  await exploreSeeds(workload, { first: 1, count: 200 });
};

const message = (work: Promise<void>): Promise<string> =>
  work.then(
    () => "kept",
    (error: Error) => error.message,
  );

describe("the crash tests", () => {
  it("are passed by a careful owner of a file", async () => {
    expect(await message(everything(owner({})))).toBe("kept");
  });

  it.each<readonly [string, Carelessness, RegExp]>([
    ["acknowledges before the sync", { skipsSync: true }, /found (nothing|damaged)/],
    ["leaves the new name to luck", { skipsDirectory: true }, /found (nothing|item-\d+) instead/],
    ["asks for a failed sync again", { syncsAgain: true }, /believed a sync of \/run\/state/],
    ["forgets to close after a failure", { leavesOpen: true }, /1 files are open/],
    ["throws what has no code", { throwsItsOwn: true }, /failed without a code: TypeError/],
    ["writes over the only copy", { overwrites: true }, /found (nothing|damaged|item-\d+ instead)/],
  ])("catch one who %s, and name the call", async (_what, how, expected) => {
    const told = await message(everything(owner(how)));
    expect(told).toMatch(expected);
    expect(told).toMatch(/^owner, (EIO (at|from) call \d+|power lost before call \d+)/);
  });

  it("name the command that repeats a random history", async () => {
    const work = exploreSeeds(owner({ overwrites: true }), { first: 1, count: 200 });
    const told = await message(work.then(() => undefined));
    const seed = /owner, seed (\d+): /.exec(told)?.[1];
    expect(told).toContain(`node dist/harness.js sim durable owner --seed ${seed}`);
    const again = exploreSeeds(owner({ overwrites: true }), { first: Number(seed), count: 1 });
    expect(await message(again.then(() => undefined))).toBe(told);
  });
});

describe("the record of what was told", () => {
  const offered = (count: number): Told => {
    const told = new Told();
    for (let left = count; left > 0; left--) told.offer();
    return told;
  };

  it("wants everything acknowledged, in order, once, and nothing that nobody offered", () => {
    const told = offered(4);
    told.acknowledge("item-2");
    const settle = (found: readonly string[]) => told.copy().settle(found, "all", ["killed"]);
    expect(() => settle(["item-2"])).not.toThrow();
    expect(() => settle(["item-1", "item-2", "item-4"])).not.toThrow();
    expect(() => settle(["item-1"])).toThrow("lost item-2");
    expect(() => settle(["item-2", "item-1"])).toThrow("item-1 twice or out of order");
    expect(() => settle(["item-2", "item-2"])).toThrow("item-2 twice or out of order");
    expect(() => settle(["item-2", "item-9"])).toThrow("found item-9, which nobody offered");
    told.refuse("item-3");
    expect(() => settle(["item-2", "item-3"])).toThrow("item-3, which was refused");
    told.release("item-2");
    expect(() => settle([])).not.toThrow();
  });

  it("owes what a restart found, and never again what it did not find", () => {
    const told = offered(3);
    told.settle(["item-2"], "all", ["power lost"]);
    expect(() => told.copy().settle([], "all", ["killed"])).toThrow("lost item-2");
    expect(() => told.copy().settle(["item-1", "item-2"], "all", ["killed"])).toThrow("item-1");
  });

  it("lets what was removed come back while the removal is not durable", () => {
    const told = offered(1);
    told.acknowledge("item-1");
    told.release("item-1");
    const [killed, lost] = [told.copy(), told.copy()];
    killed.settle([], "all", ["killed"]);
    expect(() => killed.settle(["item-1"], "all", ["power lost"])).not.toThrow();
    lost.settle([], "all", ["power lost"]);
    expect(() => lost.settle(["item-1"], "all", ["power lost"])).toThrow("which was gone");
  });

  it("wants the newest state or one that was offered after it", () => {
    const told = offered(4);
    told.acknowledge("item-2");
    const settle = (found: readonly string[]) => told.copy().settle(found, "latest", ["killed"]);
    for (const good of ["item-2", "item-3", "item-4"]) expect(() => settle([good])).not.toThrow();
    expect(() => settle(["item-1"])).toThrow("found item-1 instead of the acknowledged state");
    expect(() => settle([])).toThrow("found nothing instead");
    expect(() => settle(["item-2", "item-3"])).toThrow("found 2 states");
  });
});

it("tells its items by all their bytes", () => {
  const bytes = payloadOf("item-10");
  expect(itemOf(bytes)).toBe("item-10");
  expect(itemOf(bytes.subarray(0, 500))).toContain("damaged");
  bytes[400] = 0;
  expect(itemOf(bytes)).toContain("damaged");
});
