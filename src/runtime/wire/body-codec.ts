/**
 * Bodies of messages without declared fields: msgpack with record shapes that all threads share.
 * What arrives equals what structured clone would deliver, errors apart, which come back without
 * their cause, and lone surrogates in texts, which become U+FFFD. Encoding refuses what it would
 * lose; decoding believes no byte and never reads a text from shared memory.
 */
import { Packr, RESET_BUFFER_MODE, REUSE_BUFFER_MODE, Unpackr } from "msgpackr";
import { EsperError } from "../../protocols/errors.ts";
import { refuseBody } from "./body-shape.ts";
import { checkPayload, ODD, PARCEL } from "./check-payload.ts";
import { boxOddValues, openRefsWith } from "./odd-values.ts";
import { copyBytes, type RefCodec } from "./record-view.ts";
import { STRUCTURES_LIMIT, type StructureTable } from "./structures.ts";

export const BODY_BYTES_MAX = 64 * 1_024 * 1_024;
const SCRATCH_BYTES = 64 * 1_024;
/** A larger body leaves a buffer behind that is not kept. */
const KEPT_BYTES = 1_024 * 1_024;
/** Shapes that stayed private before the encoder forgets them; each costs memory. */
const PRIVATE_SHAPES_MAX = 4_096;

/** Both ends must agree on all of these. */
const FORMAT = {
  maxSharedStructures: STRUCTURES_LIMIT,
  // No shapes inside a body: an unshared object is a map, which cannot redefine anything.
  maxOwnStructures: 0,
  mapsAsObjects: true,
  moreTypes: true,
  variableMapSize: true,
  useToJSON: false,
  structuredClone: false,
  copyBuffers: true,
} as const;

/** A shape as msgpackr keeps it: from the 33rd on it is named by two bytes. */
interface KnownShape extends Array<string> {
  isShared?: boolean;
  highByte?: number;
}

interface KnownShapes extends Array<KnownShape> {
  sharedLength?: number;
}

/** Bytes [start, end) of a buffer that the next encoding overwrites. */
export interface EncodedBody {
  readonly buffer: Uint8Array;
  readonly start: number;
  readonly end: number;
}

interface Scratch {
  buffer: Uint8Array;
  start: number;
  end: number;
}

/** One thread's encoder and decoder. */
export class BodyCodec {
  readonly refs: RefCodec;
  readonly #structures: StructureTable;
  readonly #known: KnownShapes = [];
  readonly #unpackr: Unpackr;
  readonly #keyCount: (index: number) => number;
  #copy = new Uint8Array(SCRATCH_BYTES);
  readonly #encoded: Scratch = { buffer: this.#copy, start: 0, end: 0 };
  #packr: Packr;
  #privateShapes = 0;
  /** Counts encodings: tells whether the last one is still in its buffer. */
  encodings = 0;

  constructor(structures: StructureTable, refs: RefCodec) {
    this.refs = refs;
    this.#structures = structures;
    this.#packr = this.#newPackr();
    this.#unpackr = new Unpackr({ ...FORMAT, structures: this.#known });
    this.#keyCount = (index) => {
      const count = structures.keyCount(index);
      if (count >= 0) return count;
      // A shape is published before the first body that names it.
      structures.load();
      return structures.keyCount(index);
    };
  }

  /**
   * What `encode` would have to do, for a sender that must choose the way first: 0, ODD, PARCEL.
   * @throws {NOT_TRANSFERABLE} with the path to what cannot cross threads.
   */
  check(value: unknown): number {
    return checkPayload(value, this.refs);
  }

  /**
   * Encodes into a buffer that is valid until the next encoding. `marks` is what `check` said.
   * @throws {NOT_TRANSFERABLE} @throws {FRAME_TOO_LARGE}
   */
  encode(value: unknown, marks: number = this.check(value)): EncodedBody {
    if ((marks & PARCEL) !== 0) {
      throw notTransferable("it holds shared memory or a MessagePort, which only a parcel carries");
    }
    if (this.#privateShapes > PRIVATE_SHAPES_MAX) {
      this.#privateShapes = 0;
      this.#packr = this.#newPackr();
    }
    const encoded = this.#encoded;
    if (encoded.buffer.length > KEPT_BYTES)
      this.#packr.useBuffer(Buffer.allocUnsafeSlow(SCRATCH_BYTES));
    this.encodings += 1;
    this.#pack((marks & ODD) === 0 ? value : boxOddValues(value, this.refs));
    const bytes = encoded.end - encoded.start;
    if (bytes > BODY_BYTES_MAX) throw tooLarge(bytes);
    return encoded;
  }

  /** Copies the body encoded last to `offset`; returns its length. */
  copyInto(to: Uint8Array, offset: number): number {
    const { buffer, start, end } = this.#encoded;
    copyBytes(buffer, start, end, to, offset);
    return end - start;
  }

  /**
   * Decodes a body, which may lie in shared memory; the result shares nothing with it.
   * @throws {FRAME_MALFORMED} @throws {FRAME_TOO_LARGE}
   */
  decode(from: Uint8Array, offset: number, bytes: number): unknown {
    if (bytes > BODY_BYTES_MAX) throw tooLarge(bytes);
    if (offset < 0 || bytes < 0 || offset + bytes > from.length) {
      throw malformed(`it claims ${bytes} bytes of ${from.length - offset}`);
    }
    // One copy first: msgpackr reads texts from shared memory four to seven times slower.
    const copy = this.#scratch(bytes);
    copyBytes(from, offset, offset + bytes, copy, 0);
    const refusal = refuseBody(copy, bytes, this.#keyCount);
    if (refusal !== null) throw malformed(refusal);
    if (this.#known.length < this.#structures.size) this.#learn();
    openRefsWith(this.refs);
    try {
      return this.#unpackr.unpack(copy, bytes);
    } catch (cause) {
      if (EsperError.is(cause)) throw cause;
      throw malformed("the bytes are not what our encoder writes", cause);
    }
  }

  #scratch(bytes: number): Uint8Array {
    if (bytes <= this.#copy.length) return this.#copy;
    if (bytes > KEPT_BYTES) return new Uint8Array(bytes);
    this.#copy = new Uint8Array(KEPT_BYTES);
    return this.#copy;
  }

  #pack(value: unknown): void {
    const encoded = this.#encoded;
    const packed = this.#attempt(value) as Uint8Array & Partial<Scratch>;
    encoded.buffer = packed;
    // While it publishes new shapes, msgpackr returns the bytes alone instead of the whole buffer.
    const whole = packed.start !== undefined && packed.end !== undefined;
    encoded.start = whole ? (packed.start ?? 0) : 0;
    encoded.end = whole ? (packed.end ?? 0) : packed.length;
  }

  #attempt(value: unknown): Uint8Array {
    try {
      return this.#packr.pack(value, REUSE_BUFFER_MODE | RESET_BUFFER_MODE);
    } catch (cause) {
      if (EsperError.is(cause)) throw cause;
      // A getter that throws, a buffer that was given away: the payload's fault, not ours.
      throw notTransferable("reading it failed", cause);
    }
  }

  #newPackr(): Packr {
    const structures = this.#structures;
    let base = 0;
    return new Packr({
      ...FORMAT,
      getStructures: () => {
        const known = structures.load().map((keys) => [...keys]);
        base = known.length;
        return known;
      },
      saveStructures: (all: object[]) => {
        const saved = structures.append(base, all.slice(base) as string[][]);
        if (saved) base = all.length;
        return saved;
      },
      shouldShareStructure: (keys) => {
        const admitted = structures.admits(keys);
        if (!admitted) this.#privateShapes += 1;
        return admitted;
      },
    });
  }

  /** Hands new shapes to the decoder, in the form in which msgpackr keeps its own. */
  #learn(): void {
    const all = this.#structures.load();
    for (let index = this.#known.length; index < all.length; index += 1) {
      const shape: KnownShape = [...(all[index] ?? [])];
      shape.isShared = true;
      if (index >= 32) shape.highByte = (index - 32) >> 5;
      this.#known.push(shape);
    }
    this.#known.sharedLength = this.#known.length;
  }
}

function notTransferable(why: string, cause?: unknown): EsperError {
  const details = { path: "payload", why };
  return new EsperError("NOT_TRANSFERABLE", `payload: ${why}`, details, cause);
}

function malformed(why: string, cause?: unknown): EsperError {
  const details = { path: "body", why };
  return new EsperError("FRAME_MALFORMED", `malformed body: ${why}`, details, cause);
}

function tooLarge(bytes: number): EsperError {
  return new EsperError(
    "FRAME_TOO_LARGE",
    `a body of ${bytes} bytes is larger than the ${BODY_BYTES_MAX} allowed`,
    { path: "body", value: bytes, allowed: BODY_BYTES_MAX },
  );
}
