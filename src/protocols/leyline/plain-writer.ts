/**
 * Writes msgpack for values that are nothing special: numbers, and texts of ASCII. What it writes
 * is what a general encoder writes, at a fraction of the cost; what it cannot write it says so.
 */

const LONGEST_TEXT = 255;
/** The most bytes of a number or of the head of a text or a map. */
const HEAD_BYTES = 9;
const FIRST_BYTES = 2_048;

export class PlainWriter {
  #bytes = new Uint8Array(FIRST_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;
  /** False once something could not be written: the result is then of no use. */
  isWhole = true;

  begin(): void {
    this.#at = 0;
    this.isWhole = true;
  }

  end(): Uint8Array {
    return this.#bytes.slice(0, this.#at);
  }

  /** The head of a map; its keys and values follow. */
  map(size: number): void {
    this.#reserve(HEAD_BYTES);
    if (size < 0x10) this.#u8(0x80 | size);
    else {
      this.#u8(0xde);
      this.#view.setUint16(this.#at, size);
      this.#at += 2;
    }
  }

  number(value: number): void {
    this.#reserve(HEAD_BYTES);
    if (value >>> 0 === value) this.#natural(value);
    else if (value >> 0 === value) this.#negative(value);
    else {
      this.#u8(0xcb);
      this.#view.setFloat64(this.#at, value);
      this.#at += 8;
    }
  }

  text(value: string): void {
    const { length } = value;
    if (length > LONGEST_TEXT) this.isWhole = false;
    if (!this.isWhole) return;
    this.#reserve(HEAD_BYTES + length);
    if (length < 0x20) this.#u8(0xa0 | length);
    else {
      this.#u8(0xd9);
      this.#u8(length);
    }
    for (let index = 0; index < length; index++) {
      const code = value.charCodeAt(index);
      if (code >= 0x80) this.isWhole = false;
      this.#bytes[this.#at + index] = code;
    }
    this.#at += length;
  }

  #natural(value: number): void {
    if (value < 0x80) this.#u8(value);
    else if (value < 0x100) {
      this.#u8(0xcc);
      this.#u8(value);
    } else if (value < 0x10000) {
      this.#u8(0xcd);
      this.#view.setUint16(this.#at, value);
      this.#at += 2;
    } else {
      this.#u8(0xce);
      this.#view.setUint32(this.#at, value);
      this.#at += 4;
    }
  }

  #negative(value: number): void {
    if (value >= -0x20) this.#u8(value & 0xff);
    else if (value >= -0x80) {
      this.#u8(0xd0);
      this.#u8(value & 0xff);
    } else if (value >= -0x8000) {
      this.#u8(0xd1);
      this.#view.setInt16(this.#at, value);
      this.#at += 2;
    } else {
      this.#u8(0xd2);
      this.#view.setInt32(this.#at, value);
      this.#at += 4;
    }
  }

  #u8(value: number): void {
    this.#bytes[this.#at] = value;
    this.#at += 1;
  }

  #reserve(count: number): void {
    const needed = this.#at + count;
    if (needed <= this.#bytes.byteLength) return;
    const larger = new Uint8Array(2 * needed);
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}
