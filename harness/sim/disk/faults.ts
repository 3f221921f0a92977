/** Which calls of a simulated disk fail, and how: at a number, from a number on, or by chance. */
import type { Random } from "esper-runtime";
import { SECTOR_BYTES } from "./pages.ts";

/** The words of the product's error messages, so that a trace and an error name the same thing. */
export type DiskOperation =
  | "open"
  | "read"
  | "write"
  | "truncate"
  | "stat"
  | "fsync"
  | "close"
  | "list"
  | "create directory"
  | "rename"
  | "remove"
  | "remove directory"
  | "link"
  | "symlink"
  | "read link"
  | "fsync directory"
  | "free bytes";

/** One call; `index` counts the calls of the disk from 1. */
export interface DiskCall {
  readonly index: number;
  readonly operation: DiskOperation;
  readonly path: string;
  /** Of reads and writes. */
  readonly range?: { readonly offset: number; readonly bytes: number };
}

/**
 * An errno; or "short": no more than so many bytes; or "misdirect": the write succeeds and lands
 * at another place, of the same file unless a path is named.
 */
export type DiskFault =
  | string
  | { readonly kind: "short"; readonly bytes: number }
  | { readonly kind: "misdirect"; readonly offset: number; readonly path?: string };

/** Asked before every call is carried out; null lets it be. */
export type FaultPlan = (call: DiskCall) => DiskFault | null;

export const NO_FAULTS: FaultPlan = () => null;

/** Call number `index` fails, and with `persistent` every call behind it. */
export function failAt(index: number, errno: string, persistent = false): FaultPlan {
  return (call) => (call.index === index || (persistent && call.index > index) ? errno : null);
}

/** The operations that can end with this errno on a real disk; the rest are let be. */
const AFFECTED: Readonly<Record<string, readonly DiskOperation[]>> = {
  ENOSPC: ["open", "write", "create directory", "rename", "link", "symlink", "fsync"],
  EDQUOT: ["open", "write", "create directory", "rename", "link", "symlink", "fsync"],
  EMFILE: ["open", "fsync directory", "list"],
};

/** Comes short at the border of a sector, as kernels do; what lies in one sector is done whole. */
function short({ range }: DiskCall, random: Random): DiskFault | null {
  if (range === undefined) return null;
  const first = Math.floor(range.offset / SECTOR_BYTES) + 1;
  const borders = Math.floor((range.offset + range.bytes - 1) / SECTOR_BYTES) - first + 1;
  if (borders < 1) return null;
  const border = (first + random.integer(borders)) * SECTOR_BYTES;
  return { kind: "short", bytes: border - range.offset };
}

/** How likely each fault is, for each call, from 0 to 1. */
export type FaultRates = Readonly<Record<string, number>>;

/** Faults by chance; "short" is a rate like the errnos. One seed gives one sequence. */
export function faultsByChance(random: Random, rates: FaultRates): FaultPlan {
  return (call) => {
    for (const [fault, rate] of Object.entries(rates)) {
      if (random.next() >= rate) continue;
      if (fault === "short") return short(call, random);
      if (AFFECTED[fault]?.includes(call.operation) !== false) return fault;
    }
    return null;
  };
}
