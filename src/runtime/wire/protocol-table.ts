/**
 * A protocol as the wire sees it: every message has a number, a lane's number and, where its fields
 * are declared, a codec. The fingerprint covers all of that, so two threads that number messages
 * differently notice before they misread one. Compiled once for each protocol object.
 */
import { EsperError } from "../../protocols/errors.ts";
import type { FieldMap } from "../../protocols/fields.ts";
import { LANES, type MessageMap, type Protocol } from "../../protocols/protocol.ts";
import { compileFields, type FieldCodec } from "./field-codec.ts";
import { describeFields } from "./field-plan.ts";

export type LaneNumber = 0 | 1 | 2 | 3;

/** One message of a protocol. */
export interface Kind {
  readonly index: number;
  readonly name: string;
  readonly isCall: boolean;
  readonly lane: LaneNumber;
  /** Null: the payload travels as a msgpack body. */
  readonly request: FieldCodec | null;
  readonly reply: FieldCodec | null;
  readonly protocol: string;
}

export interface CompiledProtocol {
  readonly name: string;
  /** An int32 over names, order, kinds, lanes and fields. */
  readonly fingerprint: number;
  readonly kinds: ReadonlyMap<string, Kind>;
  readonly list: readonly Kind[];
}

/** A frame has twelve bits for the number of a message. */
export const KINDS_MAX = 4_096;

type AnyProtocol = Pick<Protocol<MessageMap>, "name" | "messages">;

const compiled = new WeakMap<object, CompiledProtocol>();
const byFingerprint = new Map<number, { description: string; protocol: CompiledProtocol }>();

/**
 * The compiled form of a protocol; the same object for the same protocol.
 * @throws {CONFIG_INVALID} for too many messages or a field that cannot be laid out.
 */
export function compileProtocol(protocol: AnyProtocol): CompiledProtocol {
  const known = compiled.get(protocol);
  if (known !== undefined) return known;
  const fresh = compileFresh(protocol);
  compiled.set(protocol, fresh);
  return fresh;
}

/** A protocol compiled in this thread, by its fingerprint. */
export function protocolByFingerprint(fingerprint: number): CompiledProtocol | undefined {
  return byFingerprint.get(fingerprint)?.protocol;
}

function compileFresh(protocol: AnyProtocol): CompiledProtocol {
  const entries = Object.entries(protocol.messages);
  if (entries.length > KINDS_MAX) {
    throw invalid(protocol.name, entries.length, `at most ${KINDS_MAX} messages`);
  }
  const list = entries.map(([name, spec], index): Kind => {
    const lane = LANES.indexOf(spec.lane);
    if (!isLane(lane)) throw invalid(`${protocol.name}.${name}.lane`, spec.lane, LANES.join(", "));
    return {
      index,
      name,
      isCall: spec.kind === "call",
      lane,
      request: codecOf(spec.requestFields),
      reply: spec.kind === "call" ? codecOf(spec.replyFields) : null,
      protocol: protocol.name,
    };
  });
  const description = describe(protocol);
  const fingerprint = hash(description);
  const fresh: CompiledProtocol = {
    name: protocol.name,
    fingerprint,
    kinds: new Map(list.map((kind) => [kind.name, kind])),
    list,
  };
  const twin = byFingerprint.get(fingerprint);
  if (twin !== undefined && twin.description !== description) {
    throw invalid(protocol.name, fingerprint, `a fingerprint unlike that of ${twin.protocol.name}`);
  }
  // Equal protocols, as a module loaded twice makes them, share the first one's entry.
  if (twin === undefined) byFingerprint.set(fingerprint, { description, protocol: fresh });
  return fresh;
}

const isLane = (lane: number): lane is LaneNumber => lane >= 0 && lane < LANES.length;

const codecOf = (declared: FieldMap | undefined): FieldCodec | null =>
  declared === undefined
    ? null
    : compileFields(declared, (source) => compileProtocol(source()).fingerprint);

function describe(protocol: AnyProtocol): string {
  const messages = Object.entries(protocol.messages).map(([name, spec]) => {
    const request = spec.requestFields === undefined ? "*" : describeFields(spec.requestFields);
    const reply = spec.kind === "call" ? (spec.replyFields ?? null) : null;
    const back = reply === null ? "*" : describeFields(reply);
    return `${spec.kind} ${name} ${spec.lane} ${request} ${back}`;
  });
  return [protocol.name, ...messages].join("\n");
}

/** FNV-1a over the UTF-16 units. Not 0, which stands for no protocol. */
function hash(words: string): number {
  let sum = 0x811c9dc5;
  for (let index = 0; index < words.length; index += 1) {
    sum = Math.imul(sum ^ words.charCodeAt(index), 0x01000193);
  }
  return sum === 0 ? 1 : sum | 0;
}

function invalid(path: string, value: unknown, allowed: string): EsperError {
  const text = `protocol ${path} has ${String(value)}; allowed: ${allowed}`;
  return new EsperError("CONFIG_INVALID", text, { path, value, allowed });
}
