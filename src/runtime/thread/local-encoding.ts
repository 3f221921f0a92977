/**
 * Encodes and decodes what stays inside one thread, as if it crossed threads: a payload that could
 * not travel is found at once, and nobody can change a message that was sent.
 */
import { EsperError } from "../../protocols/errors.ts";
import type { BodyCodec } from "../wire/body-codec.ts";
import { PARCEL } from "../wire/check-payload.ts";
import type { FieldCodec } from "../wire/field-codec.ts";
import { recordView } from "../wire/record-view.ts";
import type { Caller } from "./message.ts";
import { isCloneError } from "./parcels.ts";
import type { PendingCall } from "./pending.ts";
import type { LocalEncoding } from "./post-parts.ts";

export function createLocalEncoding(body: BodyCodec): LocalEncoding {
  function throughFields(codec: FieldCodec, payload: unknown): unknown {
    // Memory of its own for each: what the receiver borrows must stay as it is.
    const bytes = codec.sizeOf(payload, body);
    const view = recordView(new ArrayBuffer(bytes));
    codec.write(payload, view, 0, body);
    return codec.read(view, 0, bytes, body);
  }

  function through(codec: FieldCodec | null, value: unknown): unknown {
    if (value === undefined) return undefined;
    if (codec !== null) return throughFields(codec, value);
    const marks = body.check(value);
    if ((marks & PARCEL) !== 0) return cloned(value, []);
    const packed = body.encode(value, marks);
    return body.decode(packed.buffer, packed.start, packed.end - packed.start);
  }

  return {
    payload: (kind, payload, transfer) =>
      transfer !== undefined && transfer.length > 0
        ? cloned(payload, transfer)
        : through(kind.request, payload),
    caller: (call: PendingCall): Caller => ({
      get settled() {
        return call.settled;
      },
      deadlineAtMs: call.deadlineAtMs,
      token: call.token,
      reply(value) {
        try {
          call.reply(through(call.kind.reply, value));
        } catch (error) {
          if (!EsperError.is(error, "NOT_TRANSFERABLE")) throw error;
          call.fail(new EsperError("NOT_TRANSFERABLE", `the reply: ${error.message}`));
        }
      },
      fail: (error) => call.fail(error),
      drop: () => call.drop(),
    }),
  };
}

/** @throws {NOT_TRANSFERABLE} */
function cloned(value: unknown, transfer: readonly ArrayBuffer[]): unknown {
  try {
    return structuredClone(value, { transfer: [...transfer] });
  } catch (error) {
    if (!isCloneError(error)) throw error;
    const text = `the payload cannot cross threads: ${error.message}`;
    throw new EsperError("NOT_TRANSFERABLE", text, {}, error);
  }
}
