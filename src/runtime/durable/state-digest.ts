/** One digest over named arrays, independent of their order: equal state has an equal digest. */
import { createHash } from "node:crypto";

export function stateDigest(arrays: Readonly<Record<string, Float32Array>>): string {
  const hash = createHash("sha256");
  const entries = Object.entries(arrays).sort(([left], [right]) => (left < right ? -1 : 1));
  for (const [name, array] of entries) {
    hash.update(`${name}:${array.length};`);
    hash.update(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  }
  return hash.digest("hex");
}
