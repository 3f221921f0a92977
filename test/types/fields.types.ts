/**
 * What must not compile about declared fields. The type checker reads this file and nothing runs
 * it: every marked line has to be an error, else its mark is one.
 */
import {
  actorRef,
  anything,
  bool,
  borrowed,
  bytes,
  f64,
  fields,
  optional,
  text,
  u32,
} from "../../src/protocols/fields.ts";
import {
  call,
  cast,
  type PayloadOf,
  protocol,
  type ReplyOf,
} from "../../src/protocols/protocol.ts";
import type { ActorRef } from "../../src/runtime/actor.ts";

const Sink = protocol("sink", {
  done: cast(fields({ seq: u32 })),
  size: call(undefined, fields({ bytes: f64 })),
});

const Meter = protocol("meter", {
  sample: cast(
    fields({
      seq: u32,
      loss: f64,
      ok: bool,
      name: text,
      blob: bytes,
      view: borrowed,
      reply: actorRef(Sink),
      rest: anything<{ rows: readonly string[] }>(),
      label: optional(text),
    }),
    { lane: "bulk" },
  ),
  read: call(fields({ seq: u32 }), fields({ loss: f64, note: optional(text) }), { lane: "system" }),
  stop: call(fields({ seq: u32 }), undefined),
  plain: cast<{ at: Date; reply: ActorRef<(typeof Sink)["messages"]> }>(),
});

type Messages = (typeof Meter)["messages"];
type Sample = PayloadOf<Messages, "sample">;
type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : never;

declare const meter: ActorRef<Messages>;
declare const sink: ActorRef<(typeof Sink)["messages"]>;
declare const sample: Sample;

export const shapes: readonly true[] = [
  true satisfies Same<
    ReplyOf<Messages, "read">,
    { readonly loss: number; readonly note?: string | undefined }
  >,
  true satisfies Same<ReplyOf<Messages, "stop">, undefined>,
  true satisfies Same<Sample["rest"], { rows: readonly string[] }>,
  true satisfies Same<Sample["view"], Uint8Array>,
];

export async function useOfFields(): Promise<unknown> {
  meter.cast("sample", sample);
  meter.cast("sample", { ...sample, reply: sink, label: undefined });
  sample.reply.cast("done", { seq: 1 });
  // @ts-expect-error a reference in a payload is as typed as any other
  sample.reply.cast("done", { seq: "1" });
  // @ts-expect-error a required field is missing
  meter.cast("sample", { seq: 1 });
  // @ts-expect-error a text where a number is declared
  meter.cast("sample", { ...sample, seq: "1" });
  // @ts-expect-error a field that nobody declared
  await meter.call("read", { seq: 1, extra: true }, { deadlineMs: 5 });
  // @ts-expect-error a reference to another protocol
  meter.cast("sample", { ...sample, reply: meter });
  // @ts-expect-error what is inside `anything` is typed, too
  meter.cast("sample", { ...sample, rest: { rows: [1] } });
  const { loss, note } = await meter.call("read", { seq: 1 }, { deadlineMs: 5 });
  // @ts-expect-error an optional field may be missing
  const always: string = note;
  return [loss, always];
}

// @ts-expect-error a function cannot cross threads
export const withAFunction = cast<{ done: () => void }>();
// @ts-expect-error a symbol cannot cross threads, however deep
export const withASymbol = call<{ rows: readonly { key: symbol }[] }, null>();
// @ts-expect-error nor can a function in a reply
export const withAFunctionBack = call<null, { undo(): void }>();
