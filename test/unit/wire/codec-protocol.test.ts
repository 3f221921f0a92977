/** A protocol as the wire sees it: numbers, lanes, codecs and a fingerprint. */
import { describe, expect, it } from "vitest";
import {
  actorRef,
  type FieldMap,
  f64,
  fields,
  optional,
  type ProtocolLike,
  text,
  u32,
} from "../../../src/protocols/fields.ts";
import { call, cast, type MessageMap, protocol } from "../../../src/protocols/protocol.ts";
import {
  compileProtocol,
  KINDS_MAX,
  protocolByFingerprint,
} from "../../../src/runtime/wire/protocol-table.ts";
import { refusal, TestRef, twoThreads } from "./codec-support.ts";

const METER: MessageMap = {
  sample: cast(fields({ seq: u32, loss: f64 }), { lane: "bulk" }),
  read: call(fields({ seq: u32 }), undefined, { lane: "emergency" }),
  stop: call<null, null>({ lane: "system" }),
  plain: cast<{ any: unknown }>(),
};

const fingerprintOf = (messages: MessageMap, name = "meter"): number =>
  compileProtocol(protocol(name, messages)).fingerprint;

describe("a compiled protocol", () => {
  it("numbers its messages in order and knows their lanes and codecs", () => {
    const { list, kinds } = compileProtocol(protocol("meter", METER));
    expect(list.map(({ index, name, isCall, lane }) => [index, name, isCall, lane])).toEqual([
      [0, "sample", false, 3],
      [1, "read", true, 1],
      [2, "stop", true, 0],
      [3, "plain", false, 2],
    ]);
    expect(list.map(({ request }) => request?.fixedBytes)).toEqual([16, 8, undefined, undefined]);
    expect(list.every(({ reply }) => reply === null)).toBe(true);
    expect(kinds.get("read")).toBe(list[1]);
  });

  it("is compiled once, and found by its fingerprint", () => {
    const meter = protocol("meter.once", METER);
    const compiled = compileProtocol(meter);
    expect(compileProtocol(meter)).toBe(compiled);
    expect(protocolByFingerprint(compiled.fingerprint)).toBe(compiled);
    expect(protocolByFingerprint(compiled.fingerprint + 1)).toBeUndefined();
    expect(compiled.fingerprint).toBe(compiled.fingerprint | 0);
  });

  it("has the fingerprint of any equal protocol", () => {
    expect(fingerprintOf({ ...METER })).toBe(fingerprintOf(METER));
  });

  const { sample, read, ...others } = METER;
  const changed: readonly (readonly [string, MessageMap])[] = [
    ["a message more", { ...METER, more: cast<null>() }],
    ["a message less", { sample, read } as MessageMap],
    ["another order", { ...others, sample, read } as MessageMap],
    ["another name of a message", { ...others, sample, fetch: read } as MessageMap],
    ["a call for a cast", { ...METER, plain: call<null, null>() }],
    ["another lane", { ...METER, plain: cast<null>({ lane: "bulk" }) }],
    ["fields where there were none", { ...METER, plain: cast(fields({})) }],
    ["fields of a reply", { ...METER, read: call(fields({ seq: u32 }), fields({ seq: u32 })) }],
    ["another type of a field", { ...METER, read: call(fields({ seq: f64 }), undefined) }],
    ["an optional field", { ...METER, read: call(fields({ seq: optional(u32) }), undefined) }],
    ["another order of fields", { ...METER, sample: cast(fields({ loss: f64, seq: u32 })) }],
  ];

  it.each(changed)("has another fingerprint with %s", (_name, messages) => {
    expect(fingerprintOf(messages)).not.toBe(fingerprintOf(METER));
    expect(fingerprintOf(METER, "meter2")).not.toBe(fingerprintOf(METER));
  });

  it("may refer to itself, and refuses references to any other protocol", () => {
    const node = protocol("node", {
      join: cast(fields({ next: actorRef((): ProtocolLike<MessageMap> => node) })),
    });
    const { fingerprint, list } = compileProtocol(node);
    const codec = list[0]?.request;
    const { from } = twoThreads();
    expect(codec?.sizeOf({ next: new TestRef(1, 1, fingerprint) }, from)).toBe(16);
    const act = () => codec?.sizeOf({ next: new TestRef(1, 1, fingerprint + 1) }, from);
    expect(refusal("NOT_TRANSFERABLE", act).message).toContain("that speaks node");
  });

  it("is refused with too many messages, an unknown lane or a field that cannot be", () => {
    const many = Object.fromEntries(
      Array.from({ length: KINDS_MAX + 1 }, (_, index) => [`m${index}`, cast<null>()]),
    );
    refusal("CONFIG_INVALID", () => compileProtocol(protocol("many", many)));
    const lane = { kind: "cast", lane: "express" as never } as const;
    refusal("CONFIG_INVALID", () => compileProtocol(protocol("lane", { lane })));
    const forged = { "x;evil()": u32 } as FieldMap;
    const spec = { kind: "cast", lane: "bulk", requestFields: forged } as const;
    refusal("CONFIG_INVALID", () => compileProtocol(protocol("forged", { spec })));
    const kind = { x: { kind: "u33" as never, optional: false, protocol: null } };
    refusal("CONFIG_INVALID", () => compileProtocol(protocol("kind", { a: cast(fields(kind)) })));
  });
});

describe("declared fields", () => {
  it.each(["a b", "1a", "__proto__", "", "x".repeat(65), "a-b"])("have no name like %j", (name) => {
    const map = Object.fromEntries([[name, text]]);
    expect(refusal("CONFIG_INVALID", () => fields(map)).details["path"]).toBe(`fields.${name}`);
  });

  it("are at most 64", () => {
    const many = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`f${index}`, u32]));
    expect(Object.keys(fields(many(64)).fields)).toHaveLength(64);
    refusal("CONFIG_INVALID", () => fields(many(65)));
  });

  it("leave the lane free to choose in every form of a declaration", () => {
    const one = fields({ n: u32 });
    const lanes = [cast(one), cast(one, { lane: "bulk" }), cast<null>({ lane: "system" })];
    expect(lanes.map(({ lane }) => lane)).toEqual(["control", "bulk", "system"]);
    const calls = [call(one, one), call(undefined, one, { lane: "bulk" }), call<null, null>()];
    expect(calls.map(({ lane }) => lane)).toEqual(["control", "bulk", "control"]);
    expect(Object.keys(calls[1] ?? {})).toEqual(["kind", "lane", "replyFields"]);
  });
});
