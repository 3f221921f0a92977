import { execFileSync } from "node:child_process";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../harness/sim/disk/disk.ts";
import { type DiskOperation, failAt } from "../../../harness/sim/disk/faults.ts";
import {
  atomicWrite,
  type Files,
  filesOn,
  replaceLink,
  systemFiles,
} from "../../../src/runtime/durable/files.ts";
import { createRandom } from "../../../src/runtime/random.ts";

const PATH = "/run/file";
const content = Uint8Array.from({ length: 3_000 }, (_, at) => (at * 7) % 251);

const newDisk = (): SimulatedDisk => {
  const disk = new SimulatedDisk({ random: createRandom(1, "disk") });
  disk.plantDirectory("/run");
  return disk;
};

const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => null,
    (error: unknown) => error,
  );

const count = (disk: SimulatedDisk, operation: DiskOperation): number =>
  disk.trace.filter((line) => line.startsWith(`${operation} /`)).length;

/** Every operation of the interface once, on files that are there. */
const OPERATIONS: readonly (readonly [name: string, (files: Files) => Promise<unknown>])[] = [
  ["open", async (files) => (await files.open(PATH, "write")).close()],
  ["read", (files) => files.read(PATH)],
  ["stat", (files) => files.stat(PATH)],
  ["lstat", (files) => files.lstat("/run/link")],
  ["list", (files) => files.list("/run")],
  ["makeDirectory", (files) => files.makeDirectory("/run/a/b")],
  ["rename", (files) => files.rename(PATH, "/run/moved")],
  ["remove", (files) => files.remove(PATH)],
  ["link", (files) => files.link(PATH, "/run/second")],
  ["symlink", (files) => files.symlink("file", "/run/pointer")],
  ["readLink", (files) => files.readLink("/run/link")],
  ["freeBytes", (files) => files.freeBytes("/run")],
  ["atomicWrite", (files) => atomicWrite(files, PATH, content)],
  ["replaceLink", (files) => replaceLink(files, "x", "/run/link")],
];

function planted(): SimulatedDisk {
  const disk = newDisk();
  disk.plantFile(PATH, content);
  disk.plantLink("/run/link", "file");
  return disk;
}

describe("whole operations on a disk that does things by halves", () => {
  it("goes on after every short write and read", async () => {
    for (const bytes of [1, 7, 511, 2_999]) {
      const disk = newDisk();
      disk.faults = () => ({ kind: "short", bytes });
      const files = filesOn(disk);
      const file = await files.open(PATH, "create");
      await file.write(content, 5);
      expect(await file.read(5, content.length + 9)).toEqual(content);
      expect(await file.size()).toBe(content.length + 5);
      await file.close();
      expect((await files.read(PATH)).subarray(5)).toEqual(content);
      expect(count(disk, "write")).toBe(Math.ceil(content.length / bytes));
    }
  });

  it("repeats an interrupted call a few times, and then says so", async () => {
    for (const errno of ["EINTR", "EAGAIN"]) {
      for (const [name, work] of OPERATIONS) {
        const disk = planted();
        // Two of three calls; but a sync and a close are asked once only.
        disk.faults = ({ index, operation }) =>
          index % 3 === 0 || /fsync|close/.test(operation) ? null : errno;
        expect(await failure(work(filesOn(disk))), `${name} ${errno}`).toBeNull();
        disk.faults = () => errno;
        const details = { errno };
        expect(await failure(work(filesOn(disk)))).toMatchObject({ details });
        expect(disk.openHandles).toBe(0);
      }
    }
  });

  it("asks for a sync once only, whatever the answer", async () => {
    const disk = newDisk();
    const file = await filesOn(disk).open(PATH, "create");
    disk.faults = () => "EINTR";
    const details = { errno: "EINTR", path: PATH };
    expect(await failure(file.sync())).toMatchObject({ code: "STORAGE_FAILED", details });
    expect(count(disk, "fsync")).toBe(1);
    expect(await failure(filesOn(disk).syncDirectory("/run"))).toMatchObject({
      details: { errno: "EINTR" },
    });
    expect(count(disk, "fsync directory")).toBe(1);
    expect(await failure(file.close())).toMatchObject({ details });
    expect(count(disk, "close")).toBe(1);
    expect(disk.openHandles).toBe(0);
  });

  it("keeps no file open, whichever call fails", async () => {
    for (const [name, work] of OPERATIONS) {
      let failing = 1;
      for (; ; failing++) {
        const disk = planted();
        disk.faults = failAt(failing, "EIO", failing % 2 === 0);
        const error = await failure(work(filesOn(disk)));
        expect(disk.openHandles, `${name}, call ${failing}`).toBe(0);
        if (disk.calls < failing) {
          expect(error, name).toBeNull();
          break;
        }
      }
      expect(failing, name).toBeGreaterThan(1);
    }
  });

  it("does not leave the temporary name of a link behind", async () => {
    const disk = planted();
    disk.faults = ({ operation }) => (operation === "rename" ? "EIO" : null);
    expect(await failure(replaceLink(filesOn(disk), "x", "/run/link"))).not.toBeNull();
    expect([...disk.contents().keys()]).toEqual([PATH, "/run/link"]);
  });

  it("makes a new directory durable with its parents, and one that is there too", async () => {
    const disk = newDisk();
    await filesOn(disk).makeDirectory("/run/a/b");
    expect(await filesOn(disk.crash()).list("/run/a")).toEqual(["b"]);
    const killed = newDisk();
    // Killed after it was made and before its name was durable.
    await killed.makeDirectory("/run/a");
    await filesOn(killed).makeDirectory("/run/a");
    expect(await filesOn(killed.crash()).list("/run")).toEqual(["a"]);
    expect(await failure(filesOn(planted()).makeDirectory(PATH))).toMatchObject({
      details: { errno: "EEXIST", path: PATH },
    });
  });

  it("lets an existing directory lie in one that it may not open", async () => {
    const disk = newDisk();
    disk.faults = ({ operation }) => (operation === "fsync directory" ? "EACCES" : null);
    expect(await failure(filesOn(disk).makeDirectory("/run"))).toBeNull();
    expect(await failure(filesOn(disk).makeDirectory("/run/new"))).toMatchObject({
      details: { errno: "EACCES" },
    });
  });

  it.each([
    ["ENOSPC", "STORAGE_FULL", "free space"],
    ["EDQUOT", "STORAGE_FULL", "the quota of this user"],
    ["EFBIG", "STORAGE_FULL", "ulimit -f"],
    ["EIO", "STORAGE_FAILED", "the device failed"],
    ["EROFS", "STORAGE_FAILED", "mounted read-only"],
    ["EMFILE", "STORAGE_FAILED", "ulimit -n"],
    ["ENFILE", "STORAGE_FAILED", "too many open files on this machine"],
    ["EACCES", "STORAGE_FAILED", "may be accessed"],
  ])("tells of %s with what helps", async (errno, code, remedy) => {
    const disk = newDisk();
    disk.faults = () => errno;
    const error = await failure(filesOn(disk).open(PATH, "write"));
    expect(error).toMatchObject({ code, details: { path: PATH, operation: "open", errno } });
    expect(String(error)).toContain(remedy);
  });
});

describe("the disk of the machine", () => {
  let directory = "";
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "esper-disk-"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it("tells files, directories and links apart", async () => {
    const path = join(directory, "link");
    await symlink("nowhere", path);
    await systemFiles.makeDirectory(join(directory, "a/b"));
    expect(await systemFiles.lstat(path)).toMatchObject({ kind: "link", isDirectory: false });
    expect(await systemFiles.stat(join(directory, "a/b"))).toMatchObject({
      kind: "directory",
      isDirectory: true,
    });
    expect((await systemFiles.stat("/dev/null")).kind).toBe("other");
    expect(await systemFiles.freeBytes(directory)).toBeGreaterThan(0);
  });

  it("reads what has no size, and gives up on what has no end", async () => {
    const status = new TextDecoder().decode(await systemFiles.read("/proc/self/status"));
    expect(status).toContain("VmSize");
    expect(await failure(systemFiles.read("/dev/zero"))).toMatchObject({
      details: { errno: "EOVERFLOW" },
    });
  });

  it("does not wait for the other end of a pipe", async () => {
    const path = join(directory, "pipe");
    execFileSync("mkfifo", [path]);
    expect(await failure(systemFiles.read(path))).toMatchObject({
      code: "STORAGE_FAILED",
      details: { path },
    });
  });
});
