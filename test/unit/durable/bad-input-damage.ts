/** Does the damage that the corpus names to a run's directory; takes pictures of directories. */
import { createHash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { crc32c } from "../../../src/runtime/durable/crc32c.ts";

/** Paths are relative to the run; `$OUTSIDE`, `$PID` and `$HOST` stand for what they say. */
export interface Damage {
  readonly op: string;
  readonly path: string;
  readonly to?: string;
  readonly from?: string;
  readonly text?: string;
  readonly set?: Readonly<Record<string, unknown>>;
  readonly at?: number;
  readonly hex?: string;
  readonly byte?: number;
  readonly bytes?: number;
}

export interface Places {
  readonly directory: string;
  readonly outside: string;
  readonly other: string;
}

const remove = (target: string): void => fs.rmSync(target, { recursive: true, force: true });

function rewrite(target: string, change: (bytes: Buffer) => Buffer | undefined): void {
  const bytes = fs.readFileSync(target);
  fs.writeFileSync(target, change(bytes) ?? bytes);
}

/** Negative counts from the end. */
const placeOf = (bytes: Buffer, at: number): number => (at < 0 ? bytes.byteLength + at : at);

/** The header's own checksum is right: only the version is not known. */
function makeNewer(bytes: Buffer): void {
  const size = bytes.readUInt8(7);
  bytes.writeUInt16LE(3, 4);
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, size - 4)), size - 4);
}

const OPERATIONS: Readonly<
  Record<string, (target: string, damage: Damage, places: Places) => void>
> = {
  link(target, { to = "" }, { outside }) {
    remove(target);
    fs.symlinkSync(to.replace("$OUTSIDE", outside), target);
  },
  remove,
  directory(target) {
    remove(target);
    fs.mkdirSync(target);
  },
  text(target, { text = "" }) {
    remove(target);
    const filled = text.replace('"$PID"', String(process.pid)).replace("$HOST", os.hostname());
    fs.writeFileSync(target, filled);
  },
  json(target, { set = {} }) {
    const changed = { ...JSON.parse(fs.readFileSync(target, "utf8")), ...set };
    fs.writeFileSync(target, JSON.stringify(changed));
  },
  size: (target, { bytes = 0 }) => fs.truncateSync(target, bytes),
  cut: (target, { bytes = 0 }) => rewrite(target, (whole) => whole.subarray(0, bytes)),
  fill: (target, { byte = 0 }) => rewrite(target, (whole) => whole.fill(byte)),
  flip: (target, { at = 0 }) =>
    rewrite(target, (whole) => {
      const place = placeOf(whole, at);
      whole[place] = (whole[place] ?? 0) ^ 1;
      return whole;
    }),
  bytes: (target, { at = 0, hex = "" }) =>
    rewrite(target, (whole) => {
      whole.set(Buffer.from(hex, "hex"), placeOf(whole, at));
      return whole;
    }),
  "newer-frame": (target) =>
    rewrite(target, (whole) => {
      makeNewer(whole);
      return whole;
    }),
  foreign(target, damage, { other }) {
    remove(target);
    fs.cpSync(path.join(other, damage.path), target, { recursive: true });
  },
  copy(target, { from = "" }, { directory }) {
    remove(target);
    fs.cpSync(path.join(directory, from), target, { recursive: true });
  },
};

/** Does all of it, in order. */
export function damageRun(damage: readonly Damage[], places: Places): void {
  for (const one of damage) {
    const operation = OPERATIONS[one.op];
    if (operation === undefined) throw new Error(`no operation ${one.op}`);
    operation(path.join(places.directory, one.path), one, places);
  }
}

function pictureOf(file: string): string {
  const stat = fs.lstatSync(file);
  if (stat.isSymbolicLink()) return `link to ${fs.readlinkSync(file)}`;
  if (!stat.isFile()) return "directory";
  return createHash("sha256").update(fs.readFileSync(file)).digest("hex");
}

/** Every name below the folder with what it is: bytes by their digest, links by their target. */
export function snapshotOf(folder: string): Readonly<Record<string, string>> {
  const names = fs.readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
  return Object.fromEntries(names.map((name) => [name, pictureOf(path.join(folder, name))]));
}
