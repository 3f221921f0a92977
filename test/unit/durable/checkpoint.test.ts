import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
} from "../../../src/runtime/durable/checkpoint.ts";
import { CheckpointStore } from "../../../src/runtime/durable/checkpoint-store.ts";
import { MemoryFiles } from "../../fixtures/memory-files.ts";

const sample = (step = 1): Checkpoint => ({
  meta: { step, nested: { list: [1, 2.5, null, "x"], text: "über" } },
  arrays: {
    "host/w": Float32Array.of(1, -2.5, Number.NaN, Number.POSITIVE_INFINITY),
    "host/b": Float32Array.of(0, step),
    empty: new Float32Array(0),
    __proto__x: Float32Array.of(3),
  },
});

const damage = (bytes: Uint8Array) => {
  try {
    decodeCheckpoint(bytes, "a.ckpt");
    return null;
  } catch (error) {
    return error;
  }
};

/** A container with this manifest and a right digest: what an attacker could make. */
function forged(manifest: string, body = new Uint8Array(0)): Uint8Array {
  const json = new TextEncoder().encode(manifest);
  const start = Math.ceil((16 + json.byteLength) / 8) * 8;
  const bytes = new Uint8Array(start + body.byteLength);
  bytes.set(new TextEncoder().encode("ESPERCKP"));
  new DataView(bytes.buffer).setUint32(8, 1, true);
  new DataView(bytes.buffer).setUint32(12, json.byteLength, true);
  bytes.set(json, 16);
  bytes.set(body, start);
  return Uint8Array.from([...bytes, ...createHash("sha256").update(bytes).digest()]);
}

describe("the container", () => {
  it("gives back what was put in, bit for bit, from any alignment", () => {
    const bytes = encodeCheckpoint(sample());
    const shifted = new Uint8Array(bytes.byteLength + 3);
    shifted.set(bytes, 3);
    for (const source of [bytes, shifted.subarray(3)]) {
      expect(decodeCheckpoint(source, "a.ckpt")).toEqual(sample());
    }
  });

  it("does not depend on the order of the arrays", () => {
    const { meta, arrays } = sample();
    const reversed = Object.fromEntries(Object.entries(arrays).reverse());
    expect(encodeCheckpoint({ meta, arrays: reversed })).toEqual(encodeCheckpoint(sample()));
  });

  it("refuses every truncation and every flipped bit, naming the file", () => {
    const bytes = encodeCheckpoint(sample());
    for (let size = 0; size < bytes.byteLength; size++) {
      expect(damage(bytes.slice(0, size))).toMatchObject({ code: "CHECKPOINT_DIGEST" });
    }
    for (let bit = 0; bit < bytes.byteLength * 8; bit++) {
      const flipped = bytes.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      const error = damage(flipped);
      expect(error).toMatchObject({ code: "CHECKPOINT_DIGEST", details: { path: "a.ckpt" } });
    }
  });

  it("names the offset of the damaged array", () => {
    const arrays = { a: new Float32Array(64).fill(1), b: new Float32Array(64).fill(2) };
    const bytes = encodeCheckpoint({ meta: {}, arrays });
    const inB = bytes.byteLength - 32 - 16;
    bytes[inB] = (bytes[inB] as number) ^ 1;
    expect(damage(bytes)).toMatchObject({ details: { offset: bytes.byteLength - 32 - 256 } });
  });

  it("refuses hostile contents even with a right digest", () => {
    const entry = (fields: object) =>
      forged(JSON.stringify({ meta: {}, arrays: [{ name: "a", crc32c: 0, ...fields }] }));
    const hostile = [
      forged("not json"),
      forged('{"meta":{}}'),
      forged(`{"meta":{"a":${"[".repeat(100)}${"]".repeat(100)}},"arrays":[]}`),
      entry({ length: 1_000_000, offset: 0 }),
      entry({ length: 4, offset: 2 ** 40 }),
      entry({ length: -1, offset: 0 }),
      entry({ length: 1.5, offset: 0 }),
    ];
    for (const bytes of hostile) {
      expect(damage(bytes)).toMatchObject({ code: "CHECKPOINT_DIGEST" });
    }
    const polluting = forged('{"meta":{"__proto__":{"polluted":1}},"arrays":[]}');
    decodeCheckpoint(polluting, "a.ckpt");
    expect("polluted" in {}).toBe(false);
  });

  it("does not turn a number that JSON cannot hold into null", () => {
    expect(() => encodeCheckpoint({ meta: { best: Number.NaN }, arrays: {} })).toThrow(/best/);
  });

  it("reads the format of earlier versions for ever", () => {
    const golden = new URL("../../golden/checkpoint-v1.json", import.meta.url);
    const { base64 } = JSON.parse(readFileSync(golden, "utf8")) as { base64: string };
    expect(decodeCheckpoint(Buffer.from(base64, "base64"), "golden")).toEqual(sample(7));
  });
});

describe("the store", () => {
  const directory = "/run/checkpoints";
  const bytesOf = (step: number) => encodeCheckpoint(sample(step));

  it("keeps the last three and the final one, and finds the newest", async () => {
    const files = new MemoryFiles();
    const store = new CheckpointStore(files, directory, "/run/model.ckpt");
    for (const step of [10, 20, 30, 40]) await store.save(step, bytesOf(step));
    await store.save(50, bytesOf(50), { final: true });
    expect(await files.list(directory)).toEqual([
      "final-000000000050.ckpt",
      "step-000000000020.ckpt",
      "step-000000000030.ckpt",
      "step-000000000040.ckpt",
    ]);
    expect(files.bytes("/run/model.ckpt")).toEqual(bytesOf(50));
    const { good, damaged } = await store.latestGood();
    expect(good).toMatchObject({ step: 50, final: true, bytes: bytesOf(50) });
    expect(damaged).toEqual([]);
  });

  it("passes over damaged ones and says which", async () => {
    const files = new MemoryFiles();
    const store = new CheckpointStore(files, directory);
    for (const step of [10, 20, 30]) await store.save(step, bytesOf(step));
    files.putBytes(`${directory}/step-000000000030.ckpt`, bytesOf(30).slice(0, 99));
    const { good, damaged } = await store.latestGood();
    expect(good?.step).toBe(20);
    expect(damaged).toMatchObject([{ step: 30, error: { code: "CHECKPOINT_DIGEST" } }]);
    for (const name of await files.list(directory)) {
      files.putBytes(`${directory}/${name}`, new Uint8Array(9));
    }
    await expect(store.requireGood()).rejects.toMatchObject({ code: "CHECKPOINT_MISSING" });
  });

  it("never lets a given-up future crowd out the checkpoints of the present", async () => {
    const files = new MemoryFiles();
    const store = new CheckpointStore(files, directory);
    for (const step of [10, 80, 90, 100]) await store.save(step, bytesOf(step));
    await store.save(20, bytesOf(20));
    expect((await store.latestGood()).good?.step).toBe(20);
  });

  it("holds the old or the new state whole after a crash at any step of a save", async () => {
    for (let failing = 1; ; failing++) {
      const before = new MemoryFiles();
      await new CheckpointStore(before, directory).save(10, bytesOf(10));
      const files = before.crashed();
      files.fault = (_operation, _path, count) => (count >= failing ? "EIO" : null);
      const saved = await new CheckpointStore(files, directory).save(20, bytesOf(20)).then(
        () => true,
        () => false,
      );
      files.fault = () => null;
      expect(files.openHandles).toBe(0);
      for (const disk of [files.crashed(), files.killed()]) {
        const { good, damaged } = await new CheckpointStore(disk, directory).latestGood();
        expect(damaged).toEqual([]);
        expect(saved ? [20] : [10, 20]).toContain(good?.step);
      }
      if (saved) break;
    }
  });

  it("reports a full disk and leaves no temporary file", async () => {
    const files = new MemoryFiles();
    const store = new CheckpointStore(files, directory);
    files.fault = (operation) => (operation === "write" ? "ENOSPC" : null);
    await expect(store.save(1, bytesOf(1))).rejects.toMatchObject({
      code: "STORAGE_FULL",
      details: { errno: "ENOSPC" },
    });
    expect(await files.list(directory)).toEqual([]);
  });
});
