/**
 * Codecs for payloads with declared fields: fixed offsets in shared memory, no names on the wire.
 * `sizeOf` checks the whole payload before a byte is written, so a refused payload leaves nothing
 * behind. A codec is generated as code, which is many times faster; where a process forbids that,
 * the same layout is written and read field by field.
 */
import { invariant } from "../../protocols/errors.ts";
import type { FieldMap, ProtocolSource } from "../../protocols/fields.ts";
import type { BodyCodec } from "./body-codec.ts";
import { planFields } from "./field-plan.ts";
import { generateCodec } from "./field-source.ts";
import { SteppedCodec } from "./field-steps.ts";
import type { RecordView } from "./record-view.ts";

/**
 * Writes and reads one kind of payload. `write` directly follows `sizeOf` of the same payload:
 * nothing else may be encoded in between.
 */
export interface FieldCodec {
  /** Null: varies with the payload. */
  readonly fixedBytes: number | null;
  /**
   * Bytes that `write` will take, a multiple of 8.
   * @throws {NOT_TRANSFERABLE} with the path to the field that does not fit.
   */
  sizeOf(payload: unknown, body: BodyCodec): number;
  write(payload: unknown, view: RecordView, offset: number, body: BodyCodec): void;
  /** @throws {FRAME_MALFORMED} when the bytes contradict themselves. */
  read(view: RecordView, offset: number, bytes: number, body: BodyCodec): unknown;
}

/** The fingerprint of the protocol that a reference must speak. */
export type FingerprintOf = (source: ProtocolSource) => number;

/** One for each field; null for what is no reference. */
export type Fingerprints = readonly (() => number | null)[];

let generationAllowed: boolean | null = null;

function mayGenerate(): boolean {
  if (generationAllowed !== null) return generationAllowed;
  try {
    generationAllowed = new Function("return 1")() === 1;
  } catch (error) {
    invariant(error instanceof EvalError, "code from text is refused by an EvalError only");
    generationAllowed = false;
  }
  return generationAllowed;
}

/**
 * Compiles the codec of one declaration; `generate` says whether by code generation.
 * @throws {CONFIG_INVALID} for a declaration that cannot be laid out.
 */
export function compileFields(
  declared: FieldMap,
  fingerprintOf: FingerprintOf,
  generate: boolean = mayGenerate(),
): FieldCodec {
  const plan = planFields(declared);
  const fingerprints = plan.fields.map(({ protocol }) => onFirstUse(protocol, fingerprintOf));
  const stepped = new SteppedCodec(plan, fingerprints);
  return generate ? generateCodec(plan, fingerprints, stepped) : stepped;
}

/** Two protocols may name each other, so neither is looked at before it is needed. */
function onFirstUse(source: ProtocolSource | null, find: FingerprintOf): () => number | null {
  let known: number | null = null;
  return () => {
    if (source !== null) known ??= find(source);
    return known;
  };
}
