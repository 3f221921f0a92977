/** What the tests of the named subsystems share: folders, bursts of calls, a thread that dies. */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, expect } from "vitest";
import type { ActorSystem } from "../../../dist/runtime/thread/system.js";
import type { SystemEvent } from "../../../dist/runtime/thread/types.js";
import { ProbeProtocol } from "../../fixtures/actors/thread-probe.mjs";
import { until } from "../../unit/runtime/support.ts";

const { systemFiles } = await import("../../../dist/runtime/durable/files.js");
const { Wal } = await import("../../../dist/runtime/durable/wal.js");
const { decodeStatements } = await import("../../../dist/runtime/durable/outbox-record.js");

export const DEADLINE = { deadlineMs: 20_000 } as const;
export const RETRY = { deadlineMs: 20_000, onRestart: "retry" } as const;

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) fs.rmSync(folder, { recursive: true, force: true });
});

export function newDirectory(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "esper-subsystem-"));
  folders.push(folder);
  return folder;
}

/** "value", or the code of the error, of every call; all are made before any can be answered. */
export async function burst(
  count: number,
  make: (index: number) => Promise<unknown>,
): Promise<string[]> {
  const calls = Array.from({ length: count }, (_, index) =>
    make(index).then(
      () => "value",
      (error: Error & { code?: string }) => error.code ?? String(error),
    ),
  );
  return Promise.all(calls);
}

/** The actor's thread is a worker of this name, and the actor of the probe is in it. */
export async function expectOwnThread(
  system: ActorSystem,
  actor: string,
  thread: string,
): Promise<void> {
  expect(system.status().find(({ name }) => name === actor)).toMatchObject({ thread });
  const where = (await system.ref(ProbeProtocol, "probe").call("where", null, DEADLINE)) as {
    readonly isMainThread: boolean;
    readonly threadId: number;
  };
  expect(system.status().find(({ name }) => name === "probe")).toMatchObject({ thread });
  expect(where.isMainThread).toBe(false);
  expect(where.threadId).toBeGreaterThan(0);
}

/** Ends the thread of an actor and waits until all its actors are back. */
export async function killAndAwait(
  system: ActorSystem,
  events: readonly SystemEvent[],
  actor: string,
): Promise<void> {
  const exits = (): number => events.filter(({ kind }) => kind === "thread-exit").length;
  const before = exits();
  system.kill(actor);
  await until(() => exits() > before, 5_000);
  await until(() => system.status().every(({ state }) => state === "running"), 10_000);
}

/** What every step gives, one after the other, while the actor's thread is killed before some. */
export async function whileKilled<T>(
  { system, events }: { readonly system: ActorSystem; readonly events: readonly SystemEvent[] },
  actor: string,
  { steps, killedBefore }: { readonly steps: number; readonly killedBefore: readonly number[] },
  step: (index: number) => Promise<T>,
): Promise<T[]> {
  const given: T[] = [];
  const kills: Promise<void>[] = [];
  for (let index = 0; index < steps; index++) {
    if (killedBefore.includes(index)) kills.push(killAndAwait(system, events, actor));
    given.push(await step(index));
  }
  await Promise.all(kills);
  return given;
}

/** The records of a log on disk, as ids and bytes in the order of their sequence numbers. */
export async function readLog(directory: string): Promise<{ id: string; bytes: number[] }[]> {
  const wal = await Wal.open({ files: systemFiles, directory });
  const found: { id: string; bytes: number[] }[] = [];
  for await (const { payload } of wal.read()) {
    for (const statement of decodeStatements(payload)) {
      if (statement.kind !== "entry") continue;
      found.push({ id: statement.id, bytes: [...statement.payload] });
    }
  }
  await wal.close();
  return found;
}

export const pause = (delayMs: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, delayMs));
