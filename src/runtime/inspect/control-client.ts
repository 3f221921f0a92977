/**
 * The other end of a run's control socket: the operator's handle on a running system. Every call
 * settles, by its reply, its deadline or the end of the connection, whichever is first.
 */
import { connect, type Socket } from "node:net";
import { type Remote, wrap } from "comlink";
import { z } from "zod";
import { EsperError, rehydrate, type WireError } from "../../protocols/errors.ts";
import type { Clock } from "../clock.ts";
import type { Files } from "../durable/files.ts";
import { CallingEndpoint } from "./control-endpoint.ts";
import {
  codedError,
  MAX_REPLY_BYTES,
  parseReply,
  requestLine,
  tooLarge,
} from "./control-messages.ts";
import { checkSocket, ownUser, withShortPath } from "./control-path.ts";
import { LineReader } from "./lines.ts";
import { SNAPSHOT_VERSION, type SystemSnapshot } from "./snapshot.ts";

/** How an inspection is asked for. */
export interface InspectParams {
  /** Over how long rates are measured; 0 takes those since the last look. */
  readonly overMs: number;
}

/** Which run answers. */
export interface ControlGreeting {
  readonly runId: string;
  readonly pid: number;
}

/** The methods every control socket has. */
export interface InspectHandle {
  hello(): ControlGreeting;
  inspect(params: InspectParams): SystemSnapshot;
}

/** A connection; close it when done. */
export interface ControlClient {
  hello(): Promise<ControlGreeting>;
  /** @throws {CONTROL_UNREACHABLE} @throws {DEADLINE_EXCEEDED} @throws {PROTOCOL_MISMATCH} */
  inspect(params: InspectParams): Promise<SystemSnapshot>;
  close(): void;
}

const CONNECT_LIMIT_MS = 2_000;
const ANSWER_LIMIT_MS = 5_000;

const snapshotSchema = z.looseObject({ version: z.literal(SNAPSHOT_VERSION) });

/**
 * Connects with the run whose control socket lies at `path`.
 * @throws {RUN_NOT_RUNNING} when nobody listens there. @throws {CONTROL_DENIED} when the socket
 * belongs to somebody else. @throws {CONTROL_UNREACHABLE} for any other trouble.
 */
export async function connectControl(
  path: string,
  files: Files,
  clock: Clock,
): Promise<ControlClient> {
  if ((await checkSocket(files, path, ownUser())) === "missing") throw notRunning(path, "ENOENT");
  const socket = await withShortPath(files, path, (short) => open(short, path, clock));
  return new Connection(socket, clock);
}

class Connection implements ControlClient {
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #endpoint: CallingEndpoint;
  readonly #remote: Remote<InspectHandle>;

  constructor(socket: Socket, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
    this.#endpoint = new CallingEndpoint((request) => socket.write(requestLine(request)));
    this.#remote = wrap<InspectHandle>(this.#endpoint);
    const reader = new LineReader(
      MAX_REPLY_BYTES,
      (line) => this.#hear(line),
      (bytes) => this.#fail(tooLarge("reply", MAX_REPLY_BYTES, bytes)),
    );
    socket.on("data", (chunk: Buffer) => reader.push(chunk));
    socket.on("error", (error) => this.#fail(ended(error.message)));
    socket.on("close", () => this.#fail(ended("the run ended or closed it")));
  }

  hello(): Promise<ControlGreeting> {
    return this.#within(ANSWER_LIMIT_MS, this.#remote.hello());
  }

  async inspect(params: InspectParams): Promise<SystemSnapshot> {
    const limitMs = params.overMs + ANSWER_LIMIT_MS;
    const snapshot = await this.#within(limitMs, this.#remote.inspect(params));
    if (snapshotSchema.safeParse(snapshot).success) return snapshot;
    const text = `the run shows itself in another form than version ${SNAPSHOT_VERSION}`;
    throw new EsperError("PROTOCOL_MISMATCH", text, { allowed: SNAPSHOT_VERSION });
  }

  close(): void {
    this.#fail(ended("it was closed here"));
  }

  #hear(line: string): void {
    try {
      this.#endpoint.hear(parseReply(line));
    } catch (error) {
      this.#fail(codedError(error));
    }
  }

  #fail(error: EsperError): void {
    this.#endpoint.end(error);
    this.#socket.destroy();
  }

  /** Also turns what crossed the socket back into an error. */
  #within<T>(limitMs: number, answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(limitMs, () => {
        const text = `the run did not answer within ${limitMs} ms`;
        reject(new EsperError("DEADLINE_EXCEEDED", text, { deadlineMs: limitMs }));
      });
      answer.then(
        (value) => {
          timer.cancel();
          resolve(value);
        },
        (wire: WireError) => {
          timer.cancel();
          reject(rehydrate(wire));
        },
      );
    });
  }
}

function open(short: string, path: string, clock: Clock): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(short);
    const timer = clock.after(CONNECT_LIMIT_MS, () => {
      socket.destroy();
      reject(unreachable(path, `no connection within ${CONNECT_LIMIT_MS} ms`));
    });
    socket.once("connect", () => {
      timer.cancel();
      socket.removeAllListeners("error");
      resolve(socket);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      timer.cancel();
      reject(refusal(path, error));
    });
  });
}

function refusal(path: string, { code = "", message }: NodeJS.ErrnoException): EsperError {
  if (code === "ENOENT" || code === "ECONNREFUSED") return notRunning(path, code);
  if (code === "EACCES" || code === "EPERM") {
    const text = `${path} may not be used by this user (${code})`;
    return new EsperError("CONTROL_DENIED", text, { path });
  }
  return unreachable(path, message);
}

function notRunning(path: string, errno: string): EsperError {
  const why = errno === "ENOENT" ? "there is no control socket" : "its process has ended";
  const text = `the run is not running: ${why} (${path})`;
  return new EsperError("RUN_NOT_RUNNING", text, { path, errno });
}

function unreachable(path: string, why: string): EsperError {
  return new EsperError("CONTROL_UNREACHABLE", `no connection to ${path}: ${why}`, { path });
}

function ended(why: string): EsperError {
  return new EsperError("CONTROL_UNREACHABLE", `the connection to the run is over: ${why}`);
}
