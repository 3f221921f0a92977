/**
 * Where a process lives: its machine, the machine's start, and the space in which its number
 * counts. Two processes can be compared by their numbers only where all of these are the same.
 */
import { createHash } from "node:crypto";
import { EsperError } from "../../protocols/errors.ts";
import type { Files } from "../durable/files.ts";

/** Each is null where the system does not say. */
export interface ProcessPlace {
  /** The installation of the system; not its name, which two machines may share. */
  readonly machine: string | null;
  /** Changes with every start of the machine: no process outlives it. */
  readonly boot: string | null;
  /** Containers number their processes on their own. */
  readonly numbers: string | null;
}

/** For processes of which nothing is known but their host. */
export const UNKNOWN_PLACE: ProcessPlace = { machine: null, boot: null, numbers: null };

async function orNull(read: () => Promise<string>): Promise<string | null> {
  try {
    const text = (await read()).trim();
    return text === "" ? null : text;
  } catch (error) {
    if (EsperError.is(error, "STORAGE_FAILED")) return null;
    throw error;
  }
}

/** The place of this process. */
export async function ownPlace(files: Pick<Files, "read" | "readLink">): Promise<ProcessPlace> {
  const text = async (path: string): Promise<string> =>
    new TextDecoder().decode(await files.read(path));
  const machine = await orNull(() => text("/etc/machine-id"));
  return {
    // The id itself is nobody else's business, and a run's directory may be given away.
    machine:
      machine === null ? null : createHash("sha256").update(machine).digest("hex").slice(0, 16),
    boot: await orNull(() => text("/proc/sys/kernel/random/boot_id")),
    numbers: await orNull(() => files.readLink("/proc/self/ns/pid")),
  };
}

const differ = (left: string | null, right: string | null): boolean =>
  left !== null && right !== null && left !== right;

/** "gone": its machine has started anew since. "elsewhere": its number says nothing here. */
export function comparePlaces(
  other: ProcessPlace,
  own: ProcessPlace,
): "same" | "gone" | "elsewhere" {
  if (differ(other.machine, own.machine)) return "elsewhere";
  if (differ(other.boot, own.boot)) return "gone";
  return differ(other.numbers, own.numbers) ? "elsewhere" : "same";
}
