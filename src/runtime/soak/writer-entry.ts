/**
 * What runs first in the writer process of a soak: appends the records it is told to, and confirms
 * each only after the log did. It is killed at any moment and ends with its parent.
 */
import { dehydrate, invariant } from "../../protocols/errors.ts";
import { systemFiles } from "../durable/files.ts";
import { Wal } from "../durable/wal.ts";
import type { FromWriter, ToWriter } from "./messages.ts";
import { soakRecord, timeOf } from "./soak-record.ts";

/** Small, so that rotation and pruning happen all the time. */
const SEGMENT_BYTES = 65_536;

let log: { readonly wal: Wal; readonly seed: number } | null = null;
let acks: (readonly [number, number])[] = [];

function tell(message: FromWriter): void {
  invariant(process.send !== undefined, "the writer runs in a forked process");
  if (process.connected) process.send(message);
}

function fail(error: unknown): void {
  const { code, message } = dehydrate(error);
  tell({ kind: "failed", code: code ?? "HANDLER_FAILED", message });
}

function confirm(id: number, sequence: number): void {
  if (acks.length === 0) {
    queueMicrotask(() => {
      const batch = acks;
      acks = [];
      tell({ kind: "kept", acks: batch });
    });
  }
  acks.push([id, sequence]);
}

async function write(from: number, count: number): Promise<void> {
  invariant(log !== null, "the log is opened before it is written to");
  const { wal, seed } = log;
  const appends = Array.from({ length: count }, async (_, index) => {
    const id = from + index;
    confirm(id, await wal.append(soakRecord(seed, id)));
  });
  await Promise.all(appends);
}

async function obey(message: ToWriter): Promise<void> {
  if (message.kind === "open") {
    const { directory, seed } = message;
    const options = { files: systemFiles, directory, segmentBytes: SEGMENT_BYTES };
    log = { wal: await Wal.open(options), seed };
    tell({ kind: "ready" });
  } else if (message.kind === "write") {
    await write(message.from, message.count);
  } else {
    await log?.wal.prune(timeOf(message.before));
  }
}

process.on("message", (message: ToWriter) => {
  obey(message).catch(fail);
});

// A terminal sends Ctrl-C to every process of the group; the parent decides when this one ends.
process.on("SIGINT", () => undefined);
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
