import { mkdtemp, readdir, readlink, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  atomicWrite,
  systemFiles as files,
  isMissing,
  isTaken,
  replaceLink,
  statIfPresent,
  storageError,
} from "../../../src/runtime/durable/files.ts";
import { JsonLines } from "../../../src/runtime/durable/json-lines.ts";
import { MemoryFiles } from "../../fixtures/memory-files.ts";

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "esper-files-"));
});
afterEach(() => rm(directory, { recursive: true }));

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array): string => new TextDecoder().decode(value);
const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => null,
    (error: unknown) => error,
  );

describe("the real disk", () => {
  it("writes and reads at offsets, truncates and reports sizes", async () => {
    const path = join(directory, "a");
    const file = await files.open(path, "write");
    await file.write(bytes("hello"), 0);
    await file.write(bytes("J"), 0);
    await file.write(bytes("!"), 5);
    await file.sync();
    expect(text(await file.read(0, 100))).toBe("Jello!");
    await file.truncate(2);
    expect(await file.size()).toBe(2);
    await file.close();
    expect(text(await files.read(path))).toBe("Je");
    const again = await files.open(path, "write");
    expect(await again.size()).toBe(2);
    await again.close();
    expect((await files.stat(path)).isDirectory).toBe(false);
  });

  it("creates exclusively, links and lists", async () => {
    const path = join(directory, "b");
    await (await files.open(path, "create")).close();
    expect(isTaken(await failure(files.open(path, "create")))).toBe(true);
    await files.link(path, join(directory, "a"));
    expect(isTaken(await failure(files.link(path, join(directory, "a"))))).toBe(true);
    expect(await files.list(directory)).toEqual(["a", "b"]);
    await files.remove(path);
    expect(await statIfPresent(files, path)).toBeNull();
    expect(isMissing(await failure(files.remove(path)))).toBe(true);
    expect(isMissing(await failure(files.stat(join(directory, "a", "x"))))).toBe(true);
  });

  it("names path, operation and errno", async () => {
    const path = join(directory, "none");
    expect(await failure(files.read(path))).toMatchObject({
      code: "STORAGE_FAILED",
      details: { path, operation: "read", errno: "ENOENT" },
    });
    for (const code of ["ENOSPC", "EDQUOT"]) {
      const cause = Object.assign(new Error("x"), { code });
      const error = storageError(cause, "write", "/d/f");
      expect(error).toMatchObject({ code: "STORAGE_FULL", details: { path: "/d/f" } });
      expect(error.message).toContain("/d/f");
    }
  });

  it("gives private files to their owner only", async () => {
    const path = join(directory, "secret");
    await atomicWrite(files, path, bytes("s"), 0o600);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it("replaces files and links in one step", async () => {
    const path = join(directory, "f");
    await atomicWrite(files, path, bytes("one"));
    await atomicWrite(files, path, bytes("two"));
    expect(text(await files.read(path))).toBe("two");
    await replaceLink(files, "x", join(directory, "latest"));
    await replaceLink(files, "y", join(directory, "latest"));
    expect(await readlink(join(directory, "latest"))).toBe("y");
    expect(await readdir(directory)).toEqual(["f", "latest"]);
  });
});

describe("an atomic write", () => {
  it("leaves the old or the new bytes, whatever fails", async () => {
    for (let failing = 1; ; failing++) {
      const disk = new MemoryFiles();
      disk.putBytes("/d/f", bytes("old"));
      disk.fault = (_operation, _path, count) => (count >= failing ? "EIO" : null);
      const error = await failure(atomicWrite(disk, "/d/f", bytes("new!")));
      disk.fault = () => null;
      expect(disk.openHandles).toBe(0);
      for (const after of [disk.crashed(), disk.killed()]) {
        expect(["old", "new!"]).toContain(text(after.bytes("/d/f")));
      }
      if (error !== null) continue;
      expect(text(disk.crashed().bytes("/d/f"))).toBe("new!");
      break;
    }
  });
});

describe("JSON lines", () => {
  const path = "/run/x.jsonl";

  it("keeps whole lines only, up to the size that counts", async () => {
    const disk = new MemoryFiles();
    disk.putBytes(path, bytes('{"a":1}\n{"a":2}\n{"a"'));
    const free = await JsonLines.open(disk, path, null);
    expect(text(await free.read())).toBe('{"a":1}\n{"a":2}\n');
    const known = await JsonLines.open(disk, path, 8);
    expect(text(disk.bytes(path))).toBe('{"a":1}\n');
    await known.append(bytes('{"a":3}\n'));
    expect(text(disk.bytes(path))).toBe('{"a":1}\n{"a":3}\n');
  });

  it("finds the last whole line before a very long unfinished one", async () => {
    const disk = new MemoryFiles();
    disk.putBytes(path, bytes(`{"a":1}\n${"x".repeat(200_000)}`));
    expect((await JsonLines.open(disk, path, null)).size).toBe(8);
  });

  it("leaves nothing of a failed append behind, even when cutting it off fails too", async () => {
    const disk = new MemoryFiles();
    const lines = await JsonLines.open(disk, path, null);
    await lines.append(bytes("1\n"));
    disk.fault = (operation) => (operation === "write" ? "ENOSPC" : null);
    await expect(lines.append(bytes("22222222\n"))).rejects.toMatchObject({ code: "STORAGE_FULL" });
    expect(text(disk.bytes(path))).toBe("1\n");
    disk.fault = (operation) => (["write", "truncate"].includes(operation) ? "EIO" : null);
    await expect(lines.append(bytes("22222222\n"))).rejects.toThrow();
    disk.fault = () => null;
    await lines.append(bytes("3\n"));
    expect(text(disk.bytes(path))).toBe("1\n3\n");
  });
});
