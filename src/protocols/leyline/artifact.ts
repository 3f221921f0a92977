/** Kernel artifacts are trusted by their checksum: SHA-256 over the module's canonical JSON. */
import { createHash } from "node:crypto";
import type { ModuleSpec } from "./modules.ts";

/** JSON with object keys in sorted order, so that equal values have equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => {
    if (item === null || typeof item !== "object" || Array.isArray(item)) return item;
    const entries = Object.entries(item).sort(([left], [right]) => (left < right ? -1 : 1));
    return Object.fromEntries(entries);
  });
}

export function moduleChecksum(module: ModuleSpec): string {
  return createHash("sha256").update(canonicalJson(module)).digest("hex");
}
