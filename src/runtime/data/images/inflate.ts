/** Unpacks gzip within the budget: a small file that unpacks to a huge one is refused half way. */
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { tooLarge } from "../budget.ts";
import { invalidData } from "../refuse.ts";

const unpack = promisify(gunzip);

/** True for the first two bytes of a gzip file. */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** @throws {DATA_TOO_LARGE} beyond `budgetBytes`. @throws {DATA_INVALID} for a damaged file. */
export async function inflate(
  path: string,
  bytes: Uint8Array,
  budgetBytes: number,
): Promise<Uint8Array> {
  try {
    const unpacked = await unpack(bytes, { maxOutputLength: Math.max(1, Math.floor(budgetBytes)) });
    return new Uint8Array(unpacked.buffer, unpacked.byteOffset, unpacked.byteLength);
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : null;
    if (code === "ERR_BUFFER_TOO_LARGE") {
      throw tooLarge(path, "the gzip file unpacks to more than the budget", null, budgetBytes);
    }
    if (typeof code !== "string" || !code.startsWith("Z_")) throw cause;
    throw invalidData(path, `the gzip file is damaged or cut short (${code}); fetch it again`, {
      errno: code,
    });
  }
}
