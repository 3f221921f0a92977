/**
 * Where each declared field lies in a record: doubles first, then words, then what varies in
 * length. Equal declarations give equal layouts in every thread. Nothing is written here.
 */
import { EsperError } from "../../protocols/errors.ts";
import {
  type FieldKind,
  type FieldMap,
  fields,
  type ProtocolSource,
} from "../../protocols/fields.ts";

/** A field with its place. */
export interface PlannedField {
  readonly name: string;
  readonly kind: FieldKind;
  /** Bit in the presence words, or -1 for a field that is always there. */
  readonly bit: number;
  /** First word of its own in the fixed part; for `f64` the double at half of it. */
  readonly word: number;
  readonly protocol: ProtocolSource | null;
}

export interface FieldPlan {
  /** In the order of their declaration, which is the order of keys in what is read. */
  readonly fields: readonly PlannedField[];
  readonly fixedBytes: number;
  /** First word of the presence bits of optional fields, 32 a word. */
  readonly presenceWord: number;
  readonly presenceWords: number;
  /** Word with the length of the common body of all `anything` fields, or -1. */
  readonly tailWord: number;
  /** True when every record has exactly `fixedBytes`. */
  readonly fixed: boolean;
}

const WORDS: Readonly<Record<FieldKind, number>> = {
  f64: 2,
  u32: 1,
  i32: 1,
  f32: 1,
  bool: 1,
  text: 1,
  bytes: 1,
  borrowed: 1,
  ref: 3,
  anything: 0,
};

const VARYING: ReadonlySet<FieldKind> = new Set(["text", "bytes", "borrowed", "anything"]);

/**
 * Lays a declaration out.
 * @throws {CONFIG_INVALID} for a name or kind that cannot be a field.
 */
export function planFields(declared: FieldMap): FieldPlan {
  const entries = Object.entries(fields(declared).fields);
  const wordOf = new Map<string, number>();
  let next = 0;
  const place = (kinds: (kind: FieldKind) => boolean): void => {
    for (const [name, { kind }] of entries) {
      if (!kinds(kind)) continue;
      wordOf.set(name, next);
      next += WORDS[kind];
    }
  };
  for (const [name, { kind }] of entries) refuseKind(name, kind);
  place((kind) => kind === "f64");
  const presenceWord = next;
  const optional = entries.filter(([, field]) => field.optional).map(([name]) => name);
  const presenceWords = Math.ceil(optional.length / 32);
  next += presenceWords;
  place((kind) => kind !== "f64");
  const hasTail = entries.some(([, { kind }]) => kind === "anything");
  const tailWord = hasTail ? next : -1;
  if (hasTail) next += 1;
  return {
    fields: entries.map(([name, { kind, protocol }]) => ({
      name,
      kind,
      bit: optional.indexOf(name),
      word: wordOf.get(name) ?? 0,
      protocol,
    })),
    fixedBytes: (next * 4 + 7) & ~7,
    presenceWord,
    presenceWords,
    tailWord,
    fixed: !entries.some(([, { kind }]) => VARYING.has(kind)),
  };
}

function refuseKind(name: string, kind: FieldKind): void {
  if (Object.hasOwn(WORDS, kind)) return;
  const allowed = Object.keys(WORDS).join(", ");
  throw new EsperError("CONFIG_INVALID", `fields.${name} is ${kind}; allowed: ${allowed}`, {
    path: `fields.${name}`,
    value: kind,
    allowed,
  });
}

/** One line that is equal for equal declarations, for a protocol's fingerprint. */
export function describeFields(declared: FieldMap): string {
  const parts = Object.entries(declared).map(([name, { kind, optional, protocol }]) => {
    const of = protocol === null ? "" : `(${protocol().name})`;
    return `${name}${optional ? "?" : ""}:${kind}${of}`;
  });
  return `{${parts.join(",")}}`;
}
