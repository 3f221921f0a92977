/** What may cross threads: refusals tell the path, marks tell the way. */
import { MessageChannel } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import { checkPayload, DEPTH_MAX, ODD, PARCEL } from "../../../src/runtime/wire/check-payload.ts";
import { refusal, TestRef, testRefs, twoThreads } from "./codec-support.ts";

class Account {
  readonly balance = 1;
}

class LoudMap extends Map<string, number> {}

const cycle: { rows: unknown[] } = { rows: [] };
cycle.rows.push({ back: cycle });

const nested = (levels: number): unknown => (levels === 0 ? 1 : { inner: [nested(levels - 1)] });

/** Two to the power of `levels` paths to the same object. */
const shared = (levels: number): unknown => {
  let value: unknown = { leaf: 1 };
  for (let level = 0; level < levels; level += 1) value = [value, value];
  return value;
};

const fn = (): number => 1;

const REFUSED: readonly (readonly [string, unknown, string])[] = [
  ["a function", fn, "payload is a function"],
  ["a function inside", { rows: [0, 1, 2, { fn }] }, "payload.rows[3].fn is a function"],
  ["a symbol", { a: { b: Symbol("x") } }, "payload.a.b is a symbol"],
  ["a key that is no identifier", { "a b": { "": fn } }, 'payload["a b"][""] is a function'],
  ["a class instance", { user: new Account() }, "payload.user is an instance of Account"],
  ["a subclass of Map", [new LoudMap()], "payload[0] is an instance of LoudMap"],
  ["a promise", { later: Promise.resolve(1) }, "payload.later is an instance of Promise"],
  ["a weak map", new WeakMap(), "payload is an instance of WeakMap"],
  ["a regular expression", [/a/], "payload[0] is an instance of RegExp"],
  ["an abort signal", { signal: new AbortController().signal }, "an instance of AbortSignal"],
  ["a key of a Map", new Map([[fn, 1]]), "payload.key[0] is a function"],
  ["a value of a Map", new Map([[1, new Map([[2, fn]])]]), "payload.value[0].value[0] is a func"],
  ["an item of a Set", { tags: new Set([1, fn]) }, "payload.tags[1] is a function"],
  [
    "the details of an error",
    new EsperError("CANCELLED", "x", { why: fn }),
    "payload.details.why is a function",
  ],
  ["a cycle", cycle, `is nested deeper than ${DEPTH_MAX}, or in a cycle`],
  ["what is nested too deep", nested(DEPTH_MAX / 2 + 1), "is nested deeper than 64, or in a cycle"],
  ["what holds too much by sharing", shared(40), "holds more than 4000000 values"],
];

describe("a payload", () => {
  it.each(REFUSED)("is refused with the path to %s", (_name, value, message) => {
    const error = refusal("NOT_TRANSFERABLE", () => checkPayload(value, testRefs));
    expect(error.message).toContain(message);
    refusal("NOT_TRANSFERABLE", () => twoThreads().from.encode(value));
  });

  it("may be nested as deep as the cap", () => {
    expect(checkPayload(nested(DEPTH_MAX / 2), testRefs)).toBe(0);
  });

  const marked: readonly (readonly [string, unknown, number])[] = [
    ["plain data", { a: [1, "x", null, undefined, 1n, true, new Date(0), new Set([1])] }, 0],
    ["bytes and views", [new Uint8Array(1), Buffer.alloc(1), new DataView(new ArrayBuffer(1))], 0],
    ["an object without prototype", Object.assign(Object.create(null), { a: 1 }), 0],
    ["-0", { deep: [{ zero: -0 }] }, ODD],
    ["a Map", [new Map()], ODD],
    ["an error", { error: new TypeError("x") }, ODD],
    ["a reference", { to: new TestRef(1) }, ODD],
    ["an odd key", JSON.parse('{"a":{"__proto__":1}}'), ODD],
    ["shared memory", { memory: new SharedArrayBuffer(8) }, PARCEL],
    ["a view on shared memory", [new Int32Array(new SharedArrayBuffer(8))], PARCEL],
    ["shared memory in a Map", new Map([[1, new SharedArrayBuffer(8)]]), ODD | PARCEL],
  ];

  it.each(marked)("is marked by what it holds: %s", (_name, value, marks) => {
    expect(checkPayload(value, testRefs)).toBe(marks);
  });

  it("is marked as a parcel by a port, which a body cannot carry", () => {
    const { port1, port2 } = new MessageChannel();
    expect(checkPayload({ port: port1 }, testRefs)).toBe(PARCEL);
    const error = refusal("NOT_TRANSFERABLE", () => twoThreads().from.encode({ port: port1 }));
    expect(error.message).toContain("only a parcel carries");
    port1.close();
    port2.close();
  });
});
