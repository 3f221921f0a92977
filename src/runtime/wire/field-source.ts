/**
 * Generates the codec of declared fields as JavaScript: one straight line of reads and writes, with
 * the field names as properties, so that the engine sees one object shape. Only checked identifiers
 * and numbers of the layout get into the text. Every refusal is worded by the stepped codec.
 */
import { invariant } from "../../protocols/errors.ts";
import type { BodyCodec } from "./body-codec.ts";
import type { FieldCodec, Fingerprints } from "./field-codec.ts";
import type { FieldPlan, PlannedField } from "./field-plan.ts";
import { asTail, type SteppedCodec } from "./field-steps.ts";
import {
  bitsOfFloat,
  floatOfBits,
  readBytes,
  readText,
  recordRefusal,
  refWords,
  textWord,
  writeBytes,
  writeText,
} from "./field-values.ts";

/** What the generated text may name. */
function environment(plan: FieldPlan, fingerprints: Fingerprints, stepped: SteppedCodec) {
  return {
    bitsOfFloat,
    floatOfBits,
    readBytes,
    readText,
    textWord,
    writeBytes,
    writeText,
    asTail,
    refWords: (index: number, value: object, body: BodyCodec) => {
      const field = plan.fields[index];
      invariant(field !== undefined, "generated code names fields of its plan");
      return refWords(field, value, body.refs, fingerprints[index]?.() ?? null);
    },
    /** Words the refusal; the codecs disagree when there is none. */
    refuse: (payload: unknown, body: BodyCodec): never => {
      stepped.sizeOf(payload, body);
      invariant(false, "the generated codec refuses what the stepped one refuses");
    },
    lies: (index: number, bytes: number, available: number): never => {
      throw recordRefusal(`record.${plan.fields[index]?.name ?? "anything"}`, bytes, available);
    },
    wrongLength: (bytes: number, read: number): never => {
      throw recordRefusal("record", bytes, read);
    },
    late: (): void => invariant(false, "a payload is written directly after it was sized"),
  };
}

const isText = ({ kind }: PlannedField): boolean => kind === "text";
const isBytes = ({ kind }: PlannedField): boolean => kind === "bytes" || kind === "borrowed";

/** A value to keep between `sizeOf` and `write`: what is checked is what is written. */
const isKept = (field: PlannedField): boolean =>
  isText(field) || isBytes(field) || field.kind === "ref";

function test({ kind }: PlannedField, index: number): string {
  const v = `v${index}`;
  switch (kind) {
    case "u32":
      return `typeof ${v} === "number" && ${v} >>> 0 === ${v}`;
    case "i32":
      return `typeof ${v} === "number" && (${v} | 0) === ${v}`;
    case "f64":
    case "f32":
      return `typeof ${v} === "number"`;
    case "bool":
      return `typeof ${v} === "boolean"`;
    case "text":
      return `typeof ${v} === "string"`;
    case "bytes":
    case "borrowed":
      return `${v} instanceof Uint8Array`;
    case "ref":
      return `typeof ${v} === "object" && ${v} !== null && body.refs.isRef(${v})`;
    default:
      return "true";
  }
}

function sizing(field: PlannedField, index: number): string {
  const present = field.bit === -1 ? "" : `v${index} === undefined ? `;
  if (isText(field)) {
    return `const c${index} = ${present}${present && "0 : "}textWord(v${index});
      bytes += ((c${index} & 1 ? c${index} - 1 : c${index} >>> 1) + 7) & ~7;`;
  }
  if (isBytes(field)) {
    return `const c${index} = ${present}${present && "0 : "}v${index}.length;
      bytes += (c${index} + 7) & ~7;`;
  }
  if (field.kind !== "ref") return "";
  return `const c${index} = ${present}${present && "null : "}refWords(${index}, v${index}, body);`;
}

/** Finds a key that nobody declared: by counting, where all declared ones are known to be there. */
function straySource({ fields }: FieldPlan): string {
  if (fields.every(({ bit, kind }) => bit === -1 && kind !== "anything")) {
    return `let keys = 0; for (const key in p) keys += 1;
      if (keys > ${fields.length}) refuse(p, body);`;
  }
  const isStray = fields.map(({ name }) => `key !== "${name}"`).join(" && ");
  return `for (const key in p) if (${isStray}) refuse(p, body);`;
}

/** The size of every payload, checked field by field. */
function sizeOfSource(plan: FieldPlan): string {
  const { fields, fixedBytes, tailWord } = plan;
  const tests = fields.map((field, index) => {
    const fits = test(field, index);
    const allowed = field.bit === -1 ? fits : `(v${index} === undefined || ${fits})`;
    return fits === "true" ? "" : `if (!(${allowed})) refuse(p, body);`;
  });
  const tail = fields
    .filter(({ kind }) => kind === "anything")
    .map(({ name }) => `${name}: p.${name}`);
  return `sizeOf(p, body) {
    if (typeof p !== "object" || p === null) refuse(p, body);
    ${fields.map(({ name }, index) => `const v${index} = p.${name};`).join("\n")}
    ${tests.join("\n")}
    ${straySource(plan)}
    let bytes = ${fixedBytes};
    ${fields.map(sizing).join("\n")}
    ${
      tailWord === -1
        ? ""
        : `const encoded = body.encode({ ${tail.join(", ")} });
           tailBytes = encoded.end - encoded.start; encodings = body.encodings;
           bytes += (tailBytes + 7) & ~7;`
    }
    ${fields.map((field, i) => (isKept(field) ? `k${i} = v${i}; l${i} = c${i};` : "")).join("")}
    ${isStateful(plan) ? "sized = p;" : ""}
    return bytes;
  }`;
}

const isStateful = (plan: FieldPlan): boolean => plan.tailWord !== -1 || plan.fields.some(isKept);

function writing(field: PlannedField, index: number): string {
  const word = `i32[w + ${field.word}]`;
  const value = field.bit === -1 ? `p.${field.name}` : `(p.${field.name} ?? 0)`;
  switch (field.kind) {
    case "f64":
      return `view.f64[(o >> 3) + ${field.word >> 1}] = ${value};`;
    case "f32":
      return `${word} = bitsOfFloat(${value});`;
    case "bool":
      return `${word} = p.${field.name} ? 1 : 0;`;
    case "text":
      return `${word} = l${index}; at = writeText(view.u8, at, k${index} ?? "", l${index});`;
    case "bytes":
    case "borrowed":
      return `${word} = l${index};
        if (k${index} !== undefined) at = writeBytes(view.u8, at, k${index}, l${index});`;
    case "ref":
      return ["address", "generation", "fingerprint"]
        .map((part, more) => `i32[w + ${field.word + more}] = l${index}?.${part} ?? 0;`)
        .join(" ");
    case "anything":
      return "";
    default:
      return `${word} = ${value};`;
  }
}

function presenceSource({ fields, presenceWord, presenceWords }: FieldPlan): string {
  const words = Array.from({ length: presenceWords }, (_, word) => {
    const bits = fields
      .filter(({ bit }) => bit !== -1 && bit >> 5 === word)
      .map(({ name, bit }) => `(p.${name} === undefined ? 0 : ${1 << (bit & 31)})`);
    return `i32[w + ${presenceWord + word}] = ${bits.join(" | ")};`;
  });
  return words.join("\n");
}

function writeSource(plan: FieldPlan): string {
  const tail = `i32[w + ${plan.tailWord}] = tailBytes; body.copyInto(view.u8, at);`;
  const inOrder = plan.tailWord === -1 ? "" : " || encodings !== body.encodings";
  return `write(p, view, o, body) {
    const i32 = view.i32, w = o >> 2;
    let at = o + ${plan.fixedBytes};
    ${isStateful(plan) ? `if (sized !== p${inOrder}) late();` : ""}
    ${presenceSource(plan)}
    ${plan.fields.map(writing).join("\n")}
    ${plan.tailWord === -1 ? "" : tail}
    ${isStateful(plan) ? "sized = null;" : ""}
    ${plan.fields.map((field, i) => (isKept(field) ? `k${i} = undefined;` : "")).join(" ")}
  }`;
}

const taking = (index: number, length: string): string =>
  `const n${index} = ${length};
   if (n${index} > end - at) lies(${index}, n${index}, end - at);`;

function reading(field: PlannedField, index: number, plan: FieldPlan): string {
  if (field.kind === "anything") return "";
  const word = `i32[w + ${field.word}]`;
  const present =
    field.bit === -1
      ? "true"
      : `(i32[w + ${plan.presenceWord + (field.bit >> 5)}] & ${1 << (field.bit & 31)}) !== 0`;
  const inner = readingPresent(field, index, word);
  return field.bit === -1
    ? `let x${index}; ${inner}`
    : `let x${index} = undefined; if (${present}) { ${inner} }`;
}

function readingPresent(field: PlannedField, index: number, word: string): string {
  const x = `x${index} =`;
  switch (field.kind) {
    case "f64":
      return `${x} view.f64[(o >> 3) + ${field.word >> 1}];`;
    case "u32":
      return `${x} ${word} >>> 0;`;
    case "f32":
      return `${x} floatOfBits(${word});`;
    case "bool":
      return `${x} ${word} !== 0;`;
    case "text":
      return `const c${index} = ${word} >>> 0;
        ${taking(index, `(c${index} & 1 ? c${index} - 1 : c${index} >>> 1)`)}
        ${x} readText(view.u8, at, c${index}); at += (n${index} + 7) & ~7;`;
    case "bytes":
      return `${taking(index, `${word} >>> 0`)}
        ${x} readBytes(view.u8, at, n${index}); at += (n${index} + 7) & ~7;`;
    case "borrowed":
      return `${taking(index, `${word} >>> 0`)}
        ${x} view.u8.subarray(at, at + n${index}); at += (n${index} + 7) & ~7;`;
    case "ref":
      return `${x} body.refs.fromWire(
        ${word}, i32[w + ${field.word + 1}], i32[w + ${field.word + 2}]);`;
    case "anything":
      return "";
    default:
      return `${x} ${word};`;
  }
}

function readSource(plan: FieldPlan): string {
  const { fields, fixedBytes, tailWord } = plan;
  const tail = `const n = i32[w + ${tailWord}] >>> 0;
    if (n > end - at) lies(-1, n, end - at);
    const tail = asTail(body.decode(view.u8, at, n)); at += (n + 7) & ~7;`;
  const value = ({ kind, name }: PlannedField, index: number): string =>
    kind === "anything" ? `tail.${name}` : `x${index}`;
  return `read(view, o, bytes, body) {
    if (bytes < ${fixedBytes}) wrongLength(bytes, ${fixedBytes});
    const i32 = view.i32, w = o >> 2, end = o + bytes;
    let at = o + ${fixedBytes};
    ${fields.map((field, i) => reading(field, i, plan)).join("\n")}
    ${tailWord === -1 ? "" : tail}
    if (at !== end) wrongLength(bytes, at - o);
    return { ${fields.map((field, i) => `${field.name}: ${value(field, i)}`).join(", ")} };
  }`;
}

/** Compiles a plan to code. Needs a process that allows code from text. */
export function generateCodec(
  plan: FieldPlan,
  fingerprints: Fingerprints,
  stepped: SteppedCodec,
): FieldCodec {
  const names = environment(plan, fingerprints, stepped);
  const kept = plan.fields.map((field, i) => (isKept(field) ? `let k${i}, l${i};` : "")).join(" ");
  const source = `"use strict";
    const { ${Object.keys(names).join(", ")} } = names;
    let sized = null, tailBytes = 0, encodings = 0;
    ${kept}
    return {
      fixedBytes: ${plan.fixed ? plan.fixedBytes : "null"},
      ${sizeOfSource(plan)},
      ${writeSource(plan)},
      ${readSource(plan)},
    };`;
  const make = new Function("names", source) as (given: typeof names) => FieldCodec;
  return make(names);
}
