/** CRC-32C (Castagnoli, reflected polynomial 0x82F63B78): finds every error of up to 32 bits. */

const TABLE = new Uint32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) {
    value = (value & 1) === 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  }
  TABLE[byte] = value >>> 0;
}

/** The checksum of `bytes`; pass an earlier result as `previous` to continue it. */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  let crc = ~previous;
  for (let index = 0; index < bytes.length; index++) {
    const slot = (crc ^ (bytes[index] as number)) & 0xff;
    crc = (TABLE[slot] as number) ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}
