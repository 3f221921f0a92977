/** What the codec tests share: references of a made-up thread, and two threads' codecs. */
import { EsperError } from "../../../src/protocols/errors.ts";
import { type FieldMap, fields } from "../../../src/protocols/fields.ts";
import { BodyCodec } from "../../../src/runtime/wire/body-codec.ts";
import { compileFields, type FieldCodec } from "../../../src/runtime/wire/field-codec.ts";
import { type RefCodec, recordView, type WireRef } from "../../../src/runtime/wire/record-view.ts";
import { StructureTable, structureMemory } from "../../../src/runtime/wire/structures.ts";

/** A reference as a thread would hold it. */
export class TestRef {
  readonly words: WireRef;

  constructor(address: number, generation = 1, fingerprint = 7) {
    this.words = { address, generation, fingerprint };
  }
}

export const testRefs: RefCodec = {
  isRef: (value) => value instanceof TestRef,
  toWire(ref) {
    if (ref instanceof TestRef && ref.words.address >= 0) return ref.words;
    throw new EsperError("NOT_TRANSFERABLE", "this reference stays in its thread");
  },
  fromWire: (address, generation, fingerprint) => new TestRef(address, generation, fingerprint),
};

/** The codecs of two threads over one list of shapes. */
export function twoThreads(memory = structureMemory()): { from: BodyCodec; to: BodyCodec } {
  return {
    from: new BodyCodec(new StructureTable(memory), testRefs),
    to: new BodyCodec(new StructureTable(memory), testRefs),
  };
}

const RECORD_AT = 64;
const VIEW_BYTES = 1 << 16;

/** Sends a body from one thread to another through shared memory. */
export function sendBody({ from, to }: ReturnType<typeof twoThreads>, value: unknown): unknown {
  const { start, end } = from.encode(value);
  const shared = new Uint8Array(new SharedArrayBuffer(end - start + RECORD_AT));
  const bytes = from.copyInto(shared, RECORD_AT);
  return to.decode(shared, RECORD_AT, bytes);
}

/** The generated and the stepped codec of one declaration, in this order. */
export function bothCodecs(map: FieldMap): readonly [FieldCodec, FieldCodec] {
  const declared = fields(map).fields;
  return [compileFields(declared, () => 7, true), compileFields(declared, () => 7, false)];
}

/** The bytes of a record as one thread writes it. */
export function writeRecord(codec: FieldCodec, payload: unknown, body: BodyCodec): Uint8Array {
  const view = recordView(new SharedArrayBuffer(VIEW_BYTES));
  const bytes = codec.sizeOf(payload, body);
  codec.write(payload, view, RECORD_AT, body);
  return view.u8.slice(RECORD_AT, RECORD_AT + bytes);
}

/** Reads a record from the middle of shared memory. */
export function readRecord(codec: FieldCodec, record: Uint8Array, body: BodyCodec): unknown {
  const view = recordView(new SharedArrayBuffer(VIEW_BYTES));
  view.u8.set(record, RECORD_AT);
  return codec.read(view, RECORD_AT, record.length, body);
}

/** The error that `act` throws, which has to have that code. */
export function refusal(code: EsperError["code"], act: () => unknown): EsperError {
  try {
    act();
  } catch (error) {
    if (EsperError.is(error, code)) return error;
    throw error;
  }
  throw new Error(`nothing was thrown instead of ${code}`);
}
