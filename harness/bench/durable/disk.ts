/**
 * Which file system and device a folder lies on. A figure about fsync on a memory file system is
 * none, so one is refused.
 */
import { readFileSync, realpathSync } from "node:fs";
import { tmpdir } from "node:os";

/** What a folder lies on. */
export interface DiskDescription {
  readonly type: string;
  readonly device: string;
  readonly text: string;
}

const IN_MEMORY: ReadonlySet<string> = new Set(["tmpfs", "ramfs", "devtmpfs"]);
const MOUNTS = "/proc/self/mountinfo";

interface Mount {
  readonly at: string;
  readonly type: string;
  readonly device: string;
}

/** Spaces in paths are written as octal numbers. */
const plain = (text: string): string =>
  text.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

function mounts(): Mount[] {
  const lines = readFileSync(MOUNTS, "utf8").trimEnd().split("\n");
  return lines.map((line) => {
    const [left = "", right = ""] = line.split(" - ");
    const [type = "unknown", device = "unknown"] = right.split(" ");
    return { at: plain(left.split(" ")[4] ?? "/"), type, device: plain(device) };
  });
}

const holds = (at: string, path: string): boolean =>
  at === "/" || path === at || path.startsWith(`${at}/`);

/** The mount that the folder lies on: the innermost, and of equal ones the last. */
export function describeDisk(directory: string): DiskDescription {
  if (process.platform !== "linux") {
    return { type: "unknown", device: "unknown", text: `an unknown disk (${process.platform})` };
  }
  const path = realpathSync(directory);
  let found: Mount = { at: "/", type: "unknown", device: "unknown" };
  for (const mount of mounts()) {
    if (holds(mount.at, path) && mount.at.length >= found.at.length) found = mount;
  }
  const { type, device, at } = found;
  return { type, device, text: `${type} on ${device}, mounted at ${at}` };
}

/**
 * The folder that was asked for, else the first usual one that lies on a disk.
 * @throws {Error} when it lies in memory.
 */
export function realDirectory(asked?: string): string {
  const candidates = asked === undefined ? [tmpdir(), "/var/tmp", process.cwd()] : [asked];
  const found = candidates.find((path) => !IN_MEMORY.has(describeDisk(path).type));
  if (found !== undefined) return found;
  throw new Error(
    `${candidates.join(", ")}: in memory (tmpfs), where a sync costs nothing and proves nothing; ` +
      "give a folder on a disk with --directory",
  );
}
