/** Command signatures: base64(HMAC-SHA256(secret, frame bytes)), compared in constant time. */
import { createHmac, timingSafeEqual } from "node:crypto";
import { EsperError } from "../errors.ts";
import type { SignedCommand } from "./command.ts";

export const SECRET_VARIABLE = "ESPER_LEYLINE_SECRET";
export const MIN_SECRET_BYTES = 16;

/** @throws {SECRET_MISSING} when the secret has fewer than 16 bytes. */
export function requireSecret(secret: string | undefined): string {
  const bytes = Buffer.byteLength(secret ?? "", "utf8");
  if (secret !== undefined && bytes >= MIN_SECRET_BYTES) return secret;
  const found = secret === undefined ? "it is not set" : `it has ${bytes} bytes`;
  throw new EsperError(
    "SECRET_MISSING",
    `${SECRET_VARIABLE} must have at least ${MIN_SECRET_BYTES} bytes; ${found}. ` +
      `Set it, for example: export ${SECRET_VARIABLE}=$(head -c 32 /dev/urandom | base64)`,
    { variable: SECRET_VARIABLE, bytes, minimum: MIN_SECRET_BYTES },
  );
}

export function signFrame(secret: string, frame: Uint8Array): SignedCommand {
  return { frame, signature: createHmac("sha256", secret).update(frame).digest("base64") };
}

/** Readers of base64 forgive spare bits and other alphabets; only one text is the signature. */
function decodeCanonical(signature: string): Buffer | null {
  const bytes = Buffer.from(signature, "base64");
  return bytes.toString("base64") === signature ? bytes : null;
}

export function signatureMatches(secret: string, signed: SignedCommand): boolean {
  const expected = createHmac("sha256", secret).update(signed.frame).digest();
  const given = decodeCanonical(signed.signature);
  return given?.length === expected.length && timingSafeEqual(given, expected);
}
