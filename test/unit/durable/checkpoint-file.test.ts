/** Writing and checking a checkpoint in pieces must come to the same as doing it at once. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  decodeCheckpoint,
  encodeCheckpoint,
  inspectCheckpoint,
} from "../../../src/runtime/durable/checkpoint.ts";
import { verifyCheckpoint, writeCheckpoint } from "../../../src/runtime/durable/checkpoint-file.ts";
import { isFlaw } from "../../../src/runtime/durable/checkpoint-format.ts";
import type { Files, OpenFile } from "../../../src/runtime/durable/files.ts";
import { hexDigest, sample } from "../../fixtures/checkpoints.ts";
import { MemoryFiles } from "../../fixtures/memory-files.ts";

const PATH = "/run/a.ckpt";

/** A disk that changes the byte at `at` when it is written, and says nothing. */
function lying(files: MemoryFiles, at: number, struck: () => void): Files {
  const open = async (...args: Parameters<Files["open"]>): Promise<OpenFile> => {
    const file = await files.open(...args);
    const write = (bytes: Uint8Array, offset: number): Promise<void> => {
      const other = bytes.slice();
      if (at >= offset && at < offset + bytes.byteLength) {
        other[at - offset]! ^= 1;
        struck();
      }
      return file.write(other, offset);
    };
    return { ...file, write };
  };
  return new Proxy(files, {
    get: (target, name) => {
      if (name === "open") return open;
      const found: unknown = Reflect.get(target, name);
      return typeof found === "function" ? found.bind(target) : found;
    },
  });
}

describe("a checkpoint written in pieces", () => {
  it("has the bytes and the digest of one written at once", async () => {
    const files = new MemoryFiles();
    const big = { ...sample().arrays, big: Float32Array.from({ length: 600_001 }, (_, i) => i) };
    for (const arrays of [sample().arrays, big]) {
      const checkpoint = { meta: sample().meta, arrays };
      const written = await writeCheckpoint(files, PATH, checkpoint);
      const bytes = encodeCheckpoint(checkpoint);
      expect(Buffer.compare(files.bytes(PATH), bytes)).toBe(0);
      expect(written.bytes).toBe(bytes.byteLength);
      expect(written.digest).toBe(Buffer.from(bytes.subarray(-32)).toString("hex"));
      expect(await verifyCheckpoint(files, PATH)).toMatchObject({
        ...{ ok: true, flaw: null, version: 2, digest: written.digest },
        ...{ step: 1, epoch: 2, runId: "run-1", bytes: bytes.byteLength },
      });
    }
    expect(files.openHandles).toBe(0);
  });

  it("never gets its name when the disk stored something else", async () => {
    const { byteLength } = encodeCheckpoint(sample());
    let strikes = 0;
    for (let at = 0; at < byteLength; at += 7) {
      const files = new MemoryFiles();
      await writeCheckpoint(files, PATH, sample(1));
      const before = strikes;
      const disk = lying(files, at, () => void strikes++);
      const failure = await writeCheckpoint(disk, PATH, sample(2)).catch((error) => error);
      // Between two arrays nothing is written, so nothing is changed.
      if (strikes === before) continue;
      expect(failure).toMatchObject({ code: "CHECKPOINT_DIGEST" });
      expect(decodeCheckpoint(files.bytes(PATH), PATH)).toEqual(sample(1));
      expect([...files.entries.keys()].filter((path) => path.endsWith(".tmp"))).toEqual([]);
      expect(files.openHandles).toBe(0);
    }
    expect(strikes).toBeGreaterThan(100);
  });
});

describe("a verdict", () => {
  const golden = new URL("../../golden/checkpoint-v1.json", import.meta.url);
  const { base64 } = JSON.parse(readFileSync(golden, "utf8")) as { base64: string };
  const containers = [new Uint8Array(Buffer.from(base64, "base64")), encodeCheckpoint(sample())];

  it.each(containers)("on damaged bytes is that of a reading at once", async (bytes) => {
    const files = new MemoryFiles();
    for (let at = 0; at < bytes.byteLength; at++) {
      const wrong = bytes.slice();
      wrong[at]! ^= 0x10;
      files.putBytes(PATH, wrong);
      const atOnce = inspectCheckpoint(wrong);
      const { ok, flaw } = await verifyCheckpoint(files, PATH);
      expect(ok).toBe(false);
      expect(flaw).toEqual(isFlaw(atOnce) ? atOnce : null);
    }
    for (let size = 0; size < bytes.byteLength; size += 5) {
      files.putBytes(PATH, bytes.slice(0, size));
      expect((await verifyCheckpoint(files, PATH)).ok).toBe(false);
    }
  });

  it("changes nothing and is no error", async () => {
    const files = new MemoryFiles();
    const wrong = encodeCheckpoint(sample()).slice(0, 99);
    files.putBytes(PATH, wrong);
    const before = hexDigest(wrong);
    expect(await verifyCheckpoint(files, PATH)).toMatchObject({ ok: false, digest: null });
    expect(hexDigest(files.bytes(PATH))).toBe(before);
    files.directories.add("/run/b.ckpt");
    expect((await verifyCheckpoint(files, "/run/b.ckpt")).flaw?.found).toBe("a directory");
    await expect(verifyCheckpoint(files, "/run/c.ckpt")).rejects.toMatchObject({
      code: "STORAGE_FAILED",
    });
  });
});
