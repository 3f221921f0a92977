import { describe, expect, it } from "vitest";
import { encodeCommand } from "../../../src/protocols/leyline/codec.ts";
import {
  requireSecret,
  signatureMatches,
  signFrame,
} from "../../../src/protocols/leyline/signing.ts";
import { sampleCommand } from "./frames.ts";

const secret = "a-secret-of-enough-bytes";
const frame = encodeCommand(sampleCommand());

describe("a signature", () => {
  it("matches the exact bytes under the same secret only", () => {
    const signed = signFrame(secret, frame);
    expect(signatureMatches(secret, signed)).toBe(true);
    expect(signatureMatches(`${secret}x`, signed)).toBe(false);
    expect(signFrame(secret, frame).signature).toBe(signed.signature);
  });

  it("is HMAC-SHA256 in base64 (RFC 4231, test case 2)", () => {
    const { signature } = signFrame("Jefe", Buffer.from("what do ya want for nothing?"));
    expect(Buffer.from(signature, "base64").toString("hex")).toBe(
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    );
  });

  it("does not survive any flipped bit of the frame or of the signature", () => {
    const { signature } = signFrame(secret, frame);
    for (let bit = 0; bit < frame.byteLength * 8; bit++) {
      const flipped = frame.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(signatureMatches(secret, { frame: flipped, signature })).toBe(false);
    }
    const mac = Buffer.from(signature, "base64");
    for (let bit = 0; bit < mac.byteLength * 8; bit++) {
      const flipped = Buffer.from(mac);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      const forged = { frame, signature: flipped.toString("base64") };
      expect(signatureMatches(secret, forged)).toBe(false);
    }
  });

  it("is refused when it is missing, cut off, extended or no base64", () => {
    const { signature } = signFrame(secret, frame);
    const mac = Buffer.from(signature, "base64");
    const extended = Buffer.concat([mac, Buffer.of(0)]).toString("base64");
    const short = mac.subarray(0, 31).toString("base64");
    for (const given of ["", short, extended, "not base64 at all!", "A".repeat(1_000)]) {
      expect(signatureMatches(secret, { frame, signature: given })).toBe(false);
    }
  });
});

describe("the secret", () => {
  it("has at least 16 bytes, and the error never shows it", () => {
    expect(requireSecret("0123456789abcdef")).toBe("0123456789abcdef");
    expect(requireSecret("äöüäöüäö")).toBe("äöüäöüäö");
    for (const given of [undefined, "", "short-secret"]) {
      try {
        requireSecret(given);
        expect.unreachable();
      } catch (error) {
        expect(error).toMatchObject({ code: "SECRET_MISSING" });
        expect(String(error)).not.toContain("short-secret");
      }
    }
  });
});
