/** The open pools of one thread, so that the thread can show their accounts. */
import type { PoolAccount } from "../pool/account.ts";

/** A pool as an inspector sees it. */
export interface RolledPool {
  readonly name: string;
  account(): PoolAccount;
}

const roll = new Set<RolledPool>();

/** The pool exists from now on; returns the way to strike it off. */
export function enrolPool(pool: RolledPool): () => void {
  roll.add(pool);
  return () => roll.delete(pool);
}

/** The open pools of the calling thread, oldest first. */
export function openPools(): readonly RolledPool[] {
  return [...roll];
}
