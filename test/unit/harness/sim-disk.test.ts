import { describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../harness/sim/disk/disk.ts";
import { type FaultPlan, faultsByChance } from "../../../harness/sim/disk/faults.ts";
import { SECTOR_BYTES } from "../../../harness/sim/disk/pages.ts";
import { filesOn } from "../../../src/runtime/durable/files.ts";
import { createRandom } from "../../../src/runtime/random.ts";

const PATH = "/d/f";
const SEEDS = 200;

const newDisk = (options: { capacityBytes?: number; faults?: FaultPlan } = {}): SimulatedDisk => {
  const disk = new SimulatedDisk({ random: createRandom(1, "disk"), ...options });
  disk.plantDirectory("/d");
  return disk;
};

const filled = (value: number, bytes = SECTOR_BYTES): Uint8Array =>
  new Uint8Array(bytes).fill(value);

/** A durable file of four sectors of ones, open. */
async function sectors(disk: SimulatedDisk) {
  disk.plantFile(PATH, filled(1, 4 * SECTOR_BYTES));
  return filesOn(disk).open(PATH, "write");
}

const has = (disk: SimulatedDisk, path: string): boolean => disk.contents().has(path);

/** One byte of each sector of the file. */
const marks = (disk: SimulatedDisk): string =>
  [...disk.bytes(PATH)].filter((_, at) => at % SECTOR_BYTES === 0).join("");

describe("a power loss", () => {
  it("keeps what was synced and, at worst, nothing else", async () => {
    const disk = newDisk();
    const file = await filesOn(disk).open(PATH, "create");
    await file.write(filled(1), 0);
    await file.sync();
    expect(has(disk.crash(), PATH)).toBe(false);
    await filesOn(disk).syncDirectory("/d");
    await file.write(filled(2), SECTOR_BYTES);
    expect(disk.bytes(PATH)).toHaveLength(2 * SECTOR_BYTES);
    expect(disk.crash().bytes(PATH)).toEqual(filled(1));
    expect(disk.killed().bytes(PATH)).toHaveLength(2 * SECTOR_BYTES);
    expect(disk.killed().crash().bytes(PATH)).toEqual(filled(1));
  });

  it("keeps any sectors that were not synced, the later without the earlier", async () => {
    const disk = newDisk();
    const file = await sectors(disk);
    await file.write(filled(2, 2 * SECTOR_BYTES), 0);
    await file.write(filled(3, 2 * SECTOR_BYTES), SECTOR_BYTES);
    const seen = new Set<string>();
    for (let seed = 1; seed <= 3 * SEEDS; seed++) {
      const after = disk.crash({ random: createRandom(seed, "crash") });
      seen.add(marks(after));
      for (let at = 0; at < 4; at++) {
        const sector = after.bytes(PATH).subarray(at * SECTOR_BYTES, (at + 1) * SECTOR_BYTES);
        expect(new Set(sector).size).toBe(1);
      }
    }
    expect(seen.size).toBe(2 * 3 * 2);
    // Sector 0 was never written with 3, sector 3 never at all.
    for (const state of seen) expect(state).toMatch(/^[12][123][13]1$/);
  });

  it("splits a sector when it is asked to", async () => {
    const disk = newDisk();
    const file = await sectors(disk);
    await file.write(filled(2), 0);
    const mixed = Array.from({ length: SEEDS }, (_, seed) => {
      const style = { random: createRandom(seed, "crash"), splitSectors: true };
      return new Set(disk.crash(style).bytes(PATH).subarray(0, SECTOR_BYTES)).size;
    });
    expect(mixed).toContain(2);
  });

  it("undoes cuts that were not synced, in some of the cases", async () => {
    const disk = newDisk();
    const file = await sectors(disk);
    await file.truncate(SECTOR_BYTES);
    const sizes = Array.from(
      { length: SEEDS },
      (_, seed) => disk.crash({ random: createRandom(seed, "crash") }).bytes(PATH).length,
    );
    expect(new Set(sizes)).toEqual(new Set([SECTOR_BYTES, 4 * SECTOR_BYTES]));
  });

  it("keeps any of the changed names, each move as one", async () => {
    const disk = newDisk();
    disk.plantDirectory("/e");
    for (const name of ["a", "b", "c"]) disk.plantFile(`/d/${name}`, filled(1));
    const files = filesOn(disk);
    await files.remove("/d/a");
    await files.remove("/d/b");
    await files.rename("/d/c", "/e/c");
    const seen = new Set<string>();
    for (let seed = 1; seed <= SEEDS; seed++) {
      const names = [
        ...disk
          .crash({ random: createRandom(seed, "crash") })
          .contents()
          .keys(),
      ];
      seen.add(names.join(" "));
      expect(names.filter((name) => name.endsWith("c"))).toHaveLength(1);
    }
    expect([...seen]).toContain("/d/a /e/c");
    expect([...seen]).toContain("/d/b /d/c");
    expect([...seen]).toContain("/e/c");
    expect(seen.size).toBe(8);
    // The sync of one side makes the move durable on both.
    await files.syncDirectory("/e");
    expect(has(disk.crash(), "/e/c")).toBe(true);
    expect(has(disk.crash(), "/d/c")).toBe(false);
    expect(has(disk.crash(), "/d/a")).toBe(true);
  });

  it("takes what lies in a directory that has no durable name", async () => {
    const disk = newDisk();
    await disk.makeDirectory("/d/new");
    const file = await filesOn(disk).open("/d/new/f", "create");
    await file.sync();
    await filesOn(disk).syncDirectory("/d/new");
    expect(has(disk.crash(), "/d/new/f")).toBe(false);
    await filesOn(disk).syncDirectory("/d");
    expect(has(disk.crash(), "/d/new/f")).toBe(true);
  });
});

describe("a failed sync", () => {
  it("forgets the bytes that the cache still shows, and so does the next one", async () => {
    const disk = newDisk();
    const file = await sectors(disk);
    let lost = 0;
    for (let round = 0; round < 20; round++) {
      await file.write(filled(round % 2 === 0 ? 2 : 3, 4 * SECTOR_BYTES), 0);
      disk.faults = ({ operation }) => (operation === "fsync" ? "EIO" : null);
      await expect(file.sync()).rejects.toMatchObject({ details: { errno: "EIO" } });
      disk.faults = () => null;
      expect(disk.believedSyncs).toHaveLength(round);
      await file.sync();
      expect(disk.believedSyncs).toHaveLength(round + 1);
      if (marks(disk.crash()) !== marks(disk)) lost++;
    }
    expect(lost).toBeGreaterThan(5);
    await file.write(filled(4, 4 * SECTOR_BYTES), 0);
    await file.sync();
    expect(disk.believedSyncs).toHaveLength(20);
    expect(marks(disk.crash())).toBe("4444");
  });
});

describe("a disk of a certain size", () => {
  it("comes short and then has no room, until something is gone for good", async () => {
    const disk = newDisk({ capacityBytes: 1_000 });
    const files = filesOn(disk);
    const file = await files.open(PATH, "create");
    await expect(file.write(filled(1, 1_200), 0)).rejects.toMatchObject({ code: "STORAGE_FULL" });
    expect(await file.size()).toBe(1_000);
    expect(await files.freeBytes("/d")).toBe(0);
    await file.write(filled(2, 500), 300);
    await file.truncate(400);
    expect(await files.freeBytes("/d")).toBe(600);
    await files.remove(PATH);
    expect(await files.freeBytes("/d")).toBe(600);
    await file.close();
    expect(await files.freeBytes("/d")).toBe(1_000);
    disk.plantFile(PATH, filled(1, 700));
    expect(await filesOn(disk.crash()).freeBytes("/d")).toBe(300);
    expect(await filesOn(disk.killed()).freeBytes("/d")).toBe(300);
  });
});

describe("silent damage", () => {
  it("puts a write where it does not belong, and changes stored bits", async () => {
    const disk = newDisk();
    const file = await sectors(disk);
    disk.plantFile("/d/other", filled(7, 10));
    disk.faults = ({ operation }) =>
      operation === "write" ? { kind: "misdirect", path: "/d/other", offset: 4 } : null;
    await file.write(filled(9, 2), 0);
    disk.faults = ({ operation }) =>
      operation === "write" ? { kind: "misdirect", offset: 2 * SECTOR_BYTES } : null;
    await file.write(filled(9), 0);
    await file.sync();
    expect(marks(disk.crash())).toBe("1191");
    expect([...disk.bytes("/d/other")]).toEqual([7, 7, 7, 7, 9, 9, 7, 7, 7, 7]);
    disk.rot(PATH, 1, 0b100);
    expect([disk.bytes(PATH)[1], disk.crash().bytes(PATH)[1]]).toEqual([5, 5]);
  });
});

describe("faults by chance", () => {
  it("are the same for the same seed, and short only at the border of a sector", async () => {
    const history = async (seed: number): Promise<string[]> => {
      const rates = { short: 0.5, EIO: 0.1, EMFILE: 0.2 };
      const seen: string[] = [];
      const disk = newDisk({ faults: faultsByChance(createRandom(seed, "faults"), rates) });
      for (let round = 0; round < 40; round++) {
        const handle = await disk.open(PATH, "write", 0o600).catch((error: Error) => error);
        if (handle instanceof Error) {
          seen.push(handle.message);
          continue;
        }
        const from = round * 100;
        const written = await handle.write(filled(1, 2_000), from).catch(() => 0);
        if (written > 0 && written < 2_000) expect((from + written) % SECTOR_BYTES).toBe(0);
        await handle.close().catch(() => seen.push("close"));
        seen.push(String(written));
      }
      expect(disk.openHandles).toBe(0);
      return seen;
    };
    const [first, again, other] = [await history(1), await history(1), await history(2)];
    expect(first).toEqual(again);
    expect(first).not.toEqual(other);
    expect(first.some((line) => line.includes("EMFILE"))).toBe(true);
    expect(first.some((line) => /^(512|1024|1536|\d{3})$/.test(line))).toBe(true);
  });
});
