import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { wrap } from "comlink";
import { afterEach, describe, expect, it } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { systemFiles } from "../../../src/runtime/durable/files.ts";
import { connectControl } from "../../../src/runtime/inspect/control-client.ts";
import { CallingEndpoint } from "../../../src/runtime/inspect/control-endpoint.ts";
import { type ControlServer, openControl } from "../../../src/runtime/inspect/control-server.ts";
import { serveRun } from "../../../src/runtime/inspect/run-control.ts";
import { rejection, until } from "../runtime/support.ts";

const folders: string[] = [];
const controls: ControlServer[] = [];

afterEach(async () => {
  await Promise.all(controls.splice(0).map((control) => control.close()));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "esper-control-"));
  folders.push(folder);
  return folder;
}

const parts = { files: systemFiles, clock: systemClock };

async function openIn(directory: string, name = "control.sock"): Promise<ControlServer> {
  const control = await openControl({ directory, path: join(directory, name), ...parts });
  controls.push(control);
  return control;
}

/** Sends lines as a person with `nc` would and resolves with the lines that come back. */
function say(path: string, text: string, replies: number): Promise<Record<string, unknown>[]> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let heard = "";
    const lines = (): string[] => heard.split("\n").slice(0, -1);
    const finish = (): void => {
      socket.destroy();
      resolve(lines().map((line) => JSON.parse(line) as Record<string, unknown>));
    };
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      heard += chunk;
      if (lines().length >= replies) finish();
    });
    socket.on("close", finish);
    socket.on("error", reject);
    socket.write(text);
  });
}

const line = (fields: object): string => `${JSON.stringify({ v: 1, id: "1", ...fields })}\n`;

describe("the control socket", () => {
  it("answers a line of JSON with a line of JSON", async () => {
    const control = await openIn(newFolder());
    control.register("double", (params) => Number(params) * 2);
    control.register("nothing", () => undefined);
    const text = line({ method: "double", params: 21 }) + line({ id: "2", method: "nothing" });
    const replies = await say(control.path, text, 2);
    expect(replies).toEqual(
      expect.arrayContaining([
        { v: 1, id: "1", result: 42 },
        { v: 1, id: "2", result: null },
      ]),
    );
  });

  it("keeps the code and the details of what a method throws", async () => {
    const control = await openIn(newFolder());
    control.register("refuse", () => {
      throw new EsperError("BACKLOG_FULL", "no room", { waiting: 3 });
    });
    control.register("fail", () => Promise.reject(new RangeError("a bug")));
    const [refused] = await say(control.path, line({ method: "refuse" }), 1);
    const error = { code: "BACKLOG_FULL", message: "no room", details: { waiting: 3 } };
    expect(refused).toEqual({ v: 1, id: "1", error });
    const [failed] = await say(control.path, line({ method: "fail" }), 1);
    expect(failed!["error"]).toMatchObject({ code: "HANDLER_FAILED" });
    expect(JSON.stringify(failed)).toContain("a bug");
  });

  const wrong: readonly (readonly [string, string, string])[] = [
    ["no JSON", "hello\n", "FRAME_MALFORMED"],
    ["no object", "[1]\n", "FRAME_MALFORMED"],
    ["no id", '{"v":1,"method":"ping"}\n', "FRAME_MALFORMED"],
    ["an unknown key", line({ method: "ping", path: ["ping"] }), "FRAME_MALFORMED"],
    ["a path for a method", line({ method: "ping.constructor" }), "FRAME_MALFORMED"],
    ["another version", line({ v: 2, method: "ping" }), "PROTOCOL_MISMATCH"],
    ["a method that is not there", line({ method: "pong" }), "MESSAGE_UNKNOWN"],
    ["a method every object has", line({ method: "constructor" }), "MESSAGE_UNKNOWN"],
    ["a message of comlink's own", line({ type: "GET", path: [] }), "FRAME_MALFORMED"],
  ];
  it.each(wrong)("refuses %s and goes on", async (_what, text, code) => {
    const control = await openIn(newFolder());
    control.register("ping", () => "pong");
    const replies = await say(control.path, text + line({ method: "ping", id: "9" }), 2);
    expect(replies).toHaveLength(2);
    expect(replies.find(({ id }) => id === "9")).toEqual({ v: 1, id: "9", result: "pong" });
    expect(replies.find(({ id }) => id !== "9")!["error"]).toMatchObject({ code });
  });

  it("ends a connection that sends a line without end", async () => {
    const control = await openIn(newFolder());
    const replies = await say(control.path, "x".repeat(100_000), 2);
    expect(replies).toHaveLength(1);
    expect(replies[0]!["error"]).toMatchObject({ code: "FRAME_TOO_LARGE" });
  });

  it("refuses a reply that is too large, or no plain data, and goes on", async () => {
    const control = await openIn(newFolder());
    control.register("huge", () => "x".repeat(9 * 1_024 * 1_024));
    control.register("cycle", () => {
      const self: { self?: unknown } = {};
      self.self = self;
      return self;
    });
    const [huge] = await say(control.path, line({ method: "huge" }), 1);
    expect(huge!["error"]).toMatchObject({ code: "FRAME_TOO_LARGE" });
    const [cycle] = await say(control.path, line({ method: "cycle" }), 1);
    expect(cycle!["error"]).toMatchObject({ code: "NOT_TRANSFERABLE" });
  });

  it("works on a bounded number of requests of one client", async () => {
    const control = await openIn(newFolder());
    const open: (() => void)[] = [];
    control.register("wait", () => new Promise<void>((resolve) => open.push(resolve)));
    const ids = Array.from({ length: 20 }, (_, index) => String(index));
    const replies = await say(
      control.path,
      ids.map((id) => line({ id, method: "wait" })).join(""),
      4,
    );
    expect(open).toHaveLength(16);
    for (const { error } of replies) expect(error).toMatchObject({ code: "BACKLOG_FULL" });
    for (const resolve of open) resolve();
  });

  it("is open to its owner alone, from its first moment", async () => {
    const before = process.umask(0);
    try {
      const control = await openIn(newFolder());
      expect(statSync(control.path).mode & 0o777).toBe(0o600);
    } finally {
      process.umask(before);
    }
    expect(process.umask()).toBe(before);
  });

  it("is not put where everybody may write", async () => {
    const folder = newFolder();
    chmodSync(folder, 0o777);
    expect((await rejection(openIn(folder))).code).toBe("CONTROL_DENIED");
    expect(existsSync(join(folder, "control.sock"))).toBe(false);
  });

  it("is removed at the end, with every connection", async () => {
    const control = await openIn(newFolder());
    control.register("wait", () => new Promise(() => {}));
    const client = say(control.path, line({ method: "wait" }), 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await control.close();
    await control.close();
    expect(await client).toEqual([]);
    expect(existsSync(control.path)).toBe(false);
  });

  it("takes the place of a socket whose process has died, not of a living one", async () => {
    const folder = newFolder();
    const path = join(folder, "control.sock");
    const dead = createServer().listen(path);
    await new Promise((resolve) => dead.once("listening", resolve));
    expect((await rejection(openIn(folder))).code).toBe("RUN_LOCKED");
    abandon(dead);
    const control = await openIn(folder);
    control.register("ping", () => "pong");
    expect(await say(path, line({ method: "ping" }), 1)).toMatchObject([{ result: "pong" }]);
  });

  it("works at a path that is longer than a socket's may be", async () => {
    const folder = join(newFolder(), "d".repeat(60), "e".repeat(60));
    mkdirSync(folder, { recursive: true });
    const control = await openIn(folder);
    control.register("hello", () => ({ runId: "deep", pid: 1 }));
    expect(statSync(join(folder, "control.sock")).isSocket()).toBe(true);
    const client = await connectControl(control.path, systemFiles, systemClock);
    expect(await client.hello()).toEqual({ runId: "deep", pid: 1 });
    client.close();
    await control.close();
    expect(existsSync(join(folder, "control.sock"))).toBe(false);
  });
});

/** As the end of a process would: the name stays, nobody listens. */
function abandon(server: Server): void {
  const { _handle } = server as Server & { _handle: { close(): void; fchmod(): void } };
  const path = server.address() as string;
  const copy = `${path}.kept`;
  // Closing removes the name, so another name is kept and put back.
  linkSync(path, copy);
  _handle.close();
  renameSync(copy, path);
}

describe("the operator's handle", () => {
  const snapshot = { version: 1, anything: true };

  it("calls the run's methods", async () => {
    const folder = newFolder();
    const seen: number[] = [];
    const system = {
      inspectOver: async (overMs: number) => {
        seen.push(overMs);
        return snapshot as never;
      },
    };
    const path = join(folder, "control.sock");
    const unavailable: string[] = [];
    const options = { directory: folder, path, runId: "run-1", ...parts };
    const control = await serveRun(system, {
      ...options,
      onUnavailable: (message) => unavailable.push(message),
    });
    controls.push(control!);
    const client = await connectControl(path, systemFiles, systemClock);
    expect(await client.hello()).toEqual({ runId: "run-1", pid: process.pid });
    expect(await client.inspect({ overMs: 250 })).toEqual(snapshot);
    expect(seen).toEqual([250]);
    const refused = await rejection(client.inspect({ overMs: 60_000 }));
    expect(refused).toMatchObject({ name: "EsperError", code: "CONFIG_INVALID" });
    client.close();
    expect((await rejection(client.hello())).code).toBe("CONTROL_UNREACHABLE");
    const second = await serveRun(system, {
      ...options,
      onUnavailable: (message) => unavailable.push(message),
    });
    expect(second).toBeNull();
    expect(unavailable.join()).toContain("another process answers");
  });

  it("settles every call that waits when the run ends", async () => {
    const control = await openIn(newFolder());
    let waiting = 0;
    control.register("hello", () => {
      waiting += 1;
      return new Promise(() => {});
    });
    const client = await connectControl(control.path, systemFiles, systemClock);
    const calls = [client.hello(), client.hello(), client.hello()].map(rejection);
    await until(() => waiting === 3);
    const closedAt = performance.now();
    await control.close();
    for (const error of await Promise.all(calls)) {
      expect(error).toMatchObject({ code: "CONTROL_UNREACHABLE" });
    }
    expect(performance.now() - closedAt).toBeLessThan(500);
    expect((await rejection(client.hello())).code).toBe("CONTROL_UNREACHABLE");
  });

  it("says that the run is not running where nobody listens", async () => {
    const folder = newFolder();
    const path = join(folder, "control.sock");
    const missing = await rejection(connectControl(path, systemFiles, systemClock));
    expect(missing).toMatchObject({ code: "RUN_NOT_RUNNING", details: { errno: "ENOENT" } });
    const before = process.umask(0o177);
    const dead = createServer().listen(path);
    process.umask(before);
    await new Promise((resolve) => dead.once("listening", resolve));
    abandon(dead);
    const left = await rejection(connectControl(path, systemFiles, systemClock));
    expect(left).toMatchObject({ code: "RUN_NOT_RUNNING", details: { errno: "ECONNREFUSED" } });
  });

  it("does not talk to a socket that is open to others", async () => {
    const control = await openIn(newFolder());
    chmodSync(control.path, 0o666);
    const refused = await rejection(connectControl(control.path, systemFiles, systemClock));
    expect(refused.code).toBe("CONTROL_DENIED");
  });

  it("refuses a run that shows itself in another form", async () => {
    const control = await openIn(newFolder());
    control.register("inspect", () => ({ version: 2 }));
    const client = await connectControl(control.path, systemFiles, systemClock);
    expect((await rejection(client.inspect({ overMs: 0 }))).code).toBe("PROTOCOL_MISMATCH");
    client.close();
  });

  it("lets nothing of comlink through but calls of a method", async () => {
    const sent: unknown[] = [];
    const endpoint = new CallingEndpoint((request) => sent.push(request));
    const remote = wrap<{ value: number }>(endpoint);
    const refused = await rejection(remote.value);
    expect(refused.code).toBe("MESSAGE_UNKNOWN");
    expect(sent).toEqual([]);
  });
});
