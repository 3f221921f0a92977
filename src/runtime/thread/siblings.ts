/**
 * The children of a cell as a chain, youngest first. A child that leaves it keeps nothing of its
 * neighbours: parents that spawn all the time would else hold what is long gone for the collector.
 */

/** A link of the chain, and at the same time the place where one begins. */
export interface Kin<Self> {
  readonly parent: Self | null;
  /** The child that came last. */
  youngest: Self | null;
  /** Of the same parent, before this one. */
  elder: Self | null;
  /** Of the same parent, after this one. */
  younger: Self | null;
}

/** Makes `child` the youngest of its parent, if it has one. */
export function joinFamily<Self extends Kin<Self>>(child: Self): void {
  const { parent } = child;
  if (parent === null) return;
  const elder = parent.youngest;
  child.elder = elder;
  if (elder !== null) elder.younger = child;
  parent.youngest = child;
}

/** To be called once for each child that has joined. */
export function leaveFamily<Self extends Kin<Self>>(child: Self): void {
  const { parent, elder, younger } = child;
  if (parent === null) return;
  if (younger === null) parent.youngest = elder;
  else younger.elder = elder;
  if (elder !== null) elder.younger = younger;
  child.elder = null;
  child.younger = null;
}

/** The children of a cell now, youngest first. */
export function childrenOf<Self extends Kin<Self>>(parent: Self): Self[] {
  const children: Self[] = [];
  for (let next = parent.youngest; next !== null; next = next.elder) children.push(next);
  return children;
}
