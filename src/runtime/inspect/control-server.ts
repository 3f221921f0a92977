/**
 * The control socket of a run: who may read its directory as its owner may ask what runs in it.
 * Served by the main thread, which never computes, so it answers also while other threads hang.
 * Everything about it is bounded, and nothing that comes in can end the run.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { expose } from "comlink";
import { dehydrate, EsperError } from "../../protocols/errors.ts";
import type { Clock } from "../clock.ts";
import type { Files } from "../durable/files.ts";
import { AnsweringEndpoint } from "./control-endpoint.ts";
import {
  codedError,
  MAX_REPLY_BYTES,
  MAX_REQUEST_BYTES,
  parseRequest,
  type Reply,
  replyLine,
  tooLarge,
} from "./control-messages.ts";
import {
  checkDirectory,
  checkSocket,
  ownUser,
  removeSocket,
  withShortPath,
} from "./control-path.ts";
import { LineReader } from "./lines.ts";

/** What a method does with the checked line's `params`, which it must check itself. */
export type ControlHandler = (params: unknown) => unknown;

export interface ControlServer {
  readonly path: string;
  /** Makes a method known to every client, also to those that are connected. */
  register(method: string, handler: ControlHandler): void;
  /** Ends every connection and removes the socket. Idempotent. */
  close(): Promise<void>;
}

export interface ControlOptions {
  /** Where the socket is to lie; nobody else may write to its directory. */
  readonly directory: string;
  readonly path: string;
  readonly files: Files;
  readonly clock: Clock;
}

const MAX_CONNECTIONS = 16;
/** Requests of one connection that are worked on at the same time. */
const MAX_OPEN_REQUESTS = 16;
/** Replies that a client does not take are not kept for ever. */
const MAX_UNSENT_BYTES = 2 * MAX_REPLY_BYTES;
const REQUEST_LIMIT_MS = 30_000;
/** The socket's mode is 600 from its first moment on. */
const PRIVATE_MASK = 0o177;

/**
 * Opens the socket. One that a dead process left behind is replaced.
 * @throws {CONTROL_DENIED} when others could interfere. @throws {RUN_LOCKED} when a living process
 * answers there. @throws {CONTROL_UNREACHABLE} when the system refuses it.
 */
export async function openControl(options: ControlOptions): Promise<ControlServer> {
  const { directory, path, files } = options;
  await checkDirectory(files, directory, ownUser());
  const control = new Control(options);
  await withShortPath(files, path, (short) => control.listen(short));
  try {
    await checkSocket(files, path, ownUser());
  } catch (error) {
    await control.close();
    throw error;
  }
  return control;
}

class Control implements ControlServer {
  readonly path: string;
  readonly #files: Files;
  readonly #clock: Clock;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Without a prototype: nothing but what was registered can be called. */
  readonly #methods: Record<string, ControlHandler> = Object.create(null);
  #closing: Promise<void> | null = null;

  constructor({ path, files, clock }: ControlOptions) {
    this.path = path;
    this.#files = files;
    this.#clock = clock;
    this.#server = createServer((socket) => this.#onConnection(socket));
    this.#server.maxConnections = MAX_CONNECTIONS;
    // Nobody's run lasts longer because somebody looks at it.
    this.#server.unref();
  }

  register(method: string, handler: ControlHandler): void {
    this.#methods[method] = (params) => this.#handle(method, handler, params);
  }

  async listen(path: string): Promise<void> {
    if (await this.#tryListen(path)) return;
    if (await answers(path)) {
      const text = `another process answers at ${this.path}`;
      throw new EsperError("RUN_LOCKED", text, { path: this.path });
    }
    await removeSocket(this.#files, this.path);
    if (await this.#tryListen(path)) return;
    const text = `another process made ${this.path} at the same moment`;
    throw new EsperError("CONTROL_UNREACHABLE", text, { path: this.path });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    await removeSocket(this.#files, this.path);
  }

  /** False when the name is taken. */
  #tryListen(path: string): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const failed = (error: NodeJS.ErrnoException): void => {
        this.#server.off("listening", listening);
        if (error.code === "EADDRINUSE") resolve(false);
        else reject(unreachable(this.path, error));
      };
      const listening = (): void => {
        this.#server.off("error", failed);
        // A connection that fails to come about is the other side's trouble.
        this.#server.on("error", () => {});
        resolve(true);
      };
      this.#server.once("error", failed);
      this.#server.once("listening", listening);
      // The name appears within the call, so nobody can ever open it with a wider mode.
      const before = process.umask(PRIVATE_MASK);
      try {
        this.#server.listen(path);
      } finally {
        process.umask(before);
      }
    });
  }

  #onConnection(socket: Socket): void {
    this.#sockets.add(socket);
    socket.unref();
    socket.on("close", () => this.#sockets.delete(socket));
    // What a client breaks off is over; "close" follows.
    socket.on("error", () => socket.destroy());
    let open = 0;
    const send = (reply: Reply): void => {
      if (socket.destroyed) return;
      if (socket.writableLength > MAX_UNSENT_BYTES) socket.destroy();
      else socket.write(replyLine(reply));
    };
    const endpoint = new AnsweringEndpoint((reply) => {
      open -= 1;
      send(reply);
    });
    expose(this.#methods, endpoint);
    const onLine = (line: string): void => {
      const refused = this.#begin(line, endpoint, open < MAX_OPEN_REQUESTS);
      if (refused === null) open += 1;
      else send(refused);
    };
    const reader = new LineReader(MAX_REQUEST_BYTES, onLine, (bytes) => {
      send({ id: null, error: tooLarge("request", MAX_REQUEST_BYTES, bytes) });
      socket.end();
    });
    socket.on("data", (chunk: Buffer) => reader.push(chunk));
  }

  /** Hands the request to comlink; the refusal when it is none. */
  #begin(line: string, endpoint: AnsweringEndpoint, hasRoom: boolean): Reply | null {
    let id: string | null = null;
    try {
      const request = parseRequest(line);
      id = request.id;
      if (!hasRoom) throw new EsperError("BACKLOG_FULL", "too many requests are open already");
      this.#checkMethod(request.method);
      endpoint.request(request);
      return null;
    } catch (error) {
      return { id, error: codedError(error) };
    }
  }

  /** @throws {MESSAGE_UNKNOWN} */
  #checkMethod(method: string): void {
    if (Object.hasOwn(this.#methods, method)) return;
    const allowed = Object.keys(this.#methods);
    const text = `there is no method ${method}; there are ${allowed.join(", ")}`;
    throw new EsperError("MESSAGE_UNKNOWN", text, { path: "method", value: method, allowed });
  }

  /** Settles in time, and rejects with plain data only. */
  #handle(method: string, handler: ControlHandler, params: unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const fail = (error: unknown): void => {
        timer.cancel();
        const { stack: _, ...wire } = dehydrate(error);
        reject(wire);
      };
      const timer = this.#clock.after(REQUEST_LIMIT_MS, () => {
        const text = `${method} was not answered within ${REQUEST_LIMIT_MS} ms`;
        fail(new EsperError("DEADLINE_EXCEEDED", text, { method, deadlineMs: REQUEST_LIMIT_MS }));
      });
      const work = async (): Promise<unknown> => handler(params);
      work().then((value) => {
        timer.cancel();
        resolve(value ?? null);
      }, fail);
    });
  }
}

/** True when somebody listens at the path. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

function unreachable(path: string, error: NodeJS.ErrnoException): EsperError {
  const text = `the control socket ${path} cannot be opened (${error.code ?? error.message})`;
  return new EsperError("CONTROL_UNREACHABLE", text, { path }, error);
}
