/** Rows per class, for the report. */

/** Class name to number of rows; `labels` are class indices. */
export function classBalance(
  classes: readonly string[],
  labels: Iterable<number>,
): Record<string, number> {
  const counts = new Map(classes.map((name) => [name, 0]));
  for (const label of labels) {
    const name = classes[label];
    if (name !== undefined) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return Object.fromEntries(counts);
}
