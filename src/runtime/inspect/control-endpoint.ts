/**
 * The control socket as comlink sees it. Comlink itself would let the other side read, write and
 * call whatever it finds along any path of properties, and would leave a call for ever without an
 * answer when the connection ends; so only calls of known methods pass from the socket to it, and
 * only calls and their answers from it to the socket.
 */
import type { Endpoint } from "comlink";
import { z } from "zod";
import { dehydrate, EsperError, type WireError } from "../../protocols/errors.ts";
import type { Reply, Request } from "./control-messages.ts";

type Listener = (event: { readonly data: unknown }) => void;

/** A call as comlink sends it; it sends other things too, which nobody here needs. */
const applySchema = z.object({
  id: z.string(),
  type: z.literal("APPLY"),
  path: z.tuple([z.string()]),
  argumentList: z.array(z.object({ type: z.literal("RAW"), value: z.unknown() })).max(1),
});
const rawSchema = z.object({ id: z.string(), type: z.literal("RAW"), value: z.unknown() });
const thrownSchema = z.object({
  id: z.string(),
  type: z.literal("HANDLER"),
  name: z.literal("throw"),
  value: z.object({ isError: z.boolean(), value: z.unknown() }),
});

/** Both ends have listeners and hear messages. */
abstract class ControlEndpoint implements Endpoint {
  readonly #listeners = new Set<Listener>();

  abstract postMessage(message: unknown): void;

  addEventListener(_type: string, listener: Listener): void {
    this.#listeners.add(listener);
  }

  removeEventListener(_type: string, listener: Listener): void {
    this.#listeners.delete(listener);
  }

  protected tell(data: unknown): void {
    for (const listener of [...this.#listeners]) listener({ data });
  }
}

/** The end that calls. Every call is answered, at the latest by `end`. */
export class CallingEndpoint extends ControlEndpoint {
  readonly #send: (request: Request) => void;
  readonly #pending = new Set<string>();
  #ended: EsperError | null = null;

  constructor(send: (request: Request) => void) {
    super();
    this.#send = send;
  }

  override postMessage(message: unknown): void {
    const parsed = applySchema.safeParse(message);
    if (!parsed.success) {
      this.#refuse(message);
      return;
    }
    const { id, path, argumentList } = parsed.data;
    this.#pending.add(id);
    if (this.#ended !== null) this.#fail(id, this.#ended);
    else this.#send({ id, method: path[0], params: argumentList[0]?.value });
  }

  hear(reply: Reply): void {
    const { id } = reply;
    if (id === null || !this.#pending.has(id)) return;
    if ("error" in reply) this.#fail(id, reply.error);
    else {
      this.#pending.delete(id);
      this.tell({ id, type: "RAW", value: reply.result });
    }
  }

  /** The connection is over, and so is every call on it, now and later. */
  end(error: EsperError): void {
    this.#ended ??= error;
    for (const id of [...this.#pending]) this.#fail(id, error);
  }

  #fail(id: string, error: EsperError): void {
    this.#pending.delete(id);
    const value = { isError: false, value: dehydrate(error) };
    // Comlink learns the answer only after it has noted the question.
    queueMicrotask(() => this.tell({ id, type: "HANDLER", name: "throw", value }));
  }

  /** Comlink says nothing without an id but its farewell, which needs no answer. */
  #refuse(message: unknown): void {
    const id = z.object({ id: z.string(), type: z.string() }).safeParse(message).data;
    if (id === undefined || id.type === "RELEASE") return;
    const text = `${id.type} is not possible over the control socket; only calls of a method are`;
    this.#fail(id.id, new EsperError("MESSAGE_UNKNOWN", text));
  }
}

/** The end that answers. What reaches it was checked: a known method and plain data. */
export class AnsweringEndpoint extends ControlEndpoint {
  readonly #answer: (reply: Reply) => void;

  constructor(answer: (reply: Reply) => void) {
    super();
    this.#answer = answer;
  }

  request({ id, method, params }: Request): void {
    const argumentList = [{ type: "RAW", value: params }];
    this.tell({ id, type: "APPLY", path: [method], argumentList });
  }

  override postMessage(message: unknown): void {
    const thrown = thrownSchema.safeParse(message).data;
    if (thrown !== undefined) {
      this.#answer({ id: thrown.id, error: errorOf(thrown.value.value) });
      return;
    }
    const { id, value: result } = rawSchema.parse(message);
    this.#answer({ id, result });
  }
}

const wireSchema = z.object({
  code: z.string().nullable(),
  name: z.string(),
  message: z.string(),
  details: z.record(z.string(), z.unknown()),
});

/** What a handler or comlink threw; handlers throw what `dehydrate` makes. */
function errorOf(value: unknown): EsperError {
  const { data } = wireSchema.safeParse(value);
  if (data === undefined) return new EsperError("HANDLER_FAILED", dehydrate(value).message);
  const { message, details } = data;
  const code = data.code as WireError["code"];
  return new EsperError(code ?? "HANDLER_FAILED", message, details);
}
