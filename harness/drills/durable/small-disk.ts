/**
 * A disk that can be filled without filling the machine's: a tmpfs of a process' own where mounting
 * is allowed (as root, or as root of a user namespace), else a limit on the size of its files,
 * which the system answers with EFBIG. The mount goes with its process.
 */
import { spawnSync } from "node:child_process";

/** How the disk is made small. */
export type SmallDiskKind = "tmpfs" | "file size limit";

export interface SmallDisk {
  readonly kind: SmallDiskKind;
  /** For a person: why it is this kind. */
  readonly why: string;
  /** The program and arguments that run `command` with the disk mounted at `directory`. */
  launch(directory: string, command: readonly string[]): readonly string[];
}

export const SMALL_DISK_MIB = 2;
/** `sh` mounts the first argument and becomes the others. */
const MOUNT = `mount -t tmpfs -o size=${SMALL_DISK_MIB}m tmpfs "$1" && shift && exec "$@"`;
const WAYS = [
  ["unshare", "--mount"],
  ["unshare", "--user", "--map-root-user", "--mount"],
] as const;

const mounted = (way: readonly string[], directory: string, command: readonly string[]) => [
  ...way,
  ...["sh", "-c", MOUNT, "sh", directory],
  ...command,
];

function succeeds([program = "", ...args]: readonly string[]): boolean {
  return spawnSync(program, args, { stdio: "ignore" }).status === 0;
}

/**
 * The best way this machine allows.
 * @throws {Error} naming the remedy when it allows none.
 */
export function findSmallDisk(directory: string, only: SmallDiskKind | null = null): SmallDisk {
  const way = WAYS.find((one) => succeeds(mounted(one, directory, ["true"])));
  if (way !== undefined && only !== "file size limit") {
    const launch: SmallDisk["launch"] = (at, command) => mounted(way, at, command);
    return { kind: "tmpfs", why: `${SMALL_DISK_MIB} MiB, by ${way.join(" ")}`, launch };
  }
  if (succeeds(["prlimit", "--version"]) && only !== "tmpfs") {
    const why = way === undefined ? "mounting is not allowed here" : "as it was asked for";
    return { kind: "file size limit", why, launch: (_at, command) => command };
  }
  throw new Error(
    "there is no disk to fill: run this as root, or where users may make namespaces " +
      "(sysctl kernel.unprivileged_userns_clone=1), or install prlimit (util-linux)",
  );
}

/** Limits the size of this process' files from now on; null takes the limit away again. */
export function limitFileSize(bytes: number | null): void {
  const limit = `--fsize=${bytes ?? "unlimited"}:`;
  const { status, stderr } = spawnSync("prlimit", ["--pid", String(process.pid), limit], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`prlimit ${limit} failed: ${stderr}`);
}
