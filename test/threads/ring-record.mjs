/** Records whose length and every byte follow from their number, so that any mix-up shows. */

/** From 8 to 127 bytes, the number first. */
export function recordBytes(number, seed) {
  return 8 + ((Math.imul(number ^ seed, 0x9e3779b1) >>> 8) % 120);
}

export function fillRecord(u8, at, bytes, number) {
  for (let n = 0; n < bytes; n++) u8[at + n] = byteOf(number, n);
}

export function isRecord(u8, at, bytes, number) {
  for (let n = 0; n < bytes; n++) if (u8[at + n] !== byteOf(number, n)) return false;
  return true;
}

function byteOf(number, n) {
  return n < 4 ? (number >>> (n * 8)) & 255 : (Math.imul(number + n, 0x85ebca6b) >>> 24) & 255;
}
