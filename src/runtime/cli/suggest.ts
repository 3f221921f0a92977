/**
 * Did-you-mean: finds the allowed word nearest to what was typed. Pure; used by the command line,
 * the configuration and the settings, so that all of them suggest alike.
 */

/** Longest word that is compared; longer ones are never typing mistakes. */
const MAX_WORD = 80;

/** Number of typing mistakes between two words: insert, delete, replace, swap neighbours. */
export function editDistance(left: string, right: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (let row = 1; row <= left.length; row++) {
    const current = [row];
    for (let column = 1; column <= right.length; column++) {
      const same = left[row - 1] === right[column - 1];
      let best = Math.min(
        at(previous, column) + 1,
        at(current, column - 1) + 1,
        at(previous, column - 1) + (same ? 0 : 1),
      );
      const swapped = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      if (row > 1 && column > 1 && swapped)
        best = Math.min(best, at(beforePrevious, column - 2) + 1);
      current.push(best);
    }
    beforePrevious = previous;
    previous = current;
  }
  return at(previous, right.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY;
}

/** The candidate a person most likely meant, or null when none is near enough to be named. */
export function nearest(given: string, candidates: readonly string[]): string | null {
  const word = given.toLowerCase();
  if (word.length === 0 || word.length > MAX_WORD) return null;
  let best: string | null = null;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const distance = likeness(word, candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Edit distance, infinite when too far. An unfinished word counts as one mistake, the less of it
 * is missing the better. */
function likeness(word: string, candidate: string): number {
  const unfinished = word.length >= 3 && candidate.startsWith(word);
  const missing = candidate.length - word.length;
  if (unfinished && missing > 0) return 1 + missing / 100;
  const allowed = Math.max(1, Math.floor(Math.max(word.length, candidate.length) / 3));
  if (Math.abs(word.length - candidate.length) > allowed) return Number.POSITIVE_INFINITY;
  const distance = editDistance(word, candidate);
  return distance <= allowed ? distance : Number.POSITIVE_INFINITY;
}

/** `; did you mean X?` to append to a message, or nothing when no candidate is near. */
export function didYouMean(given: string, candidates: readonly string[]): string {
  const found = nearest(given, candidates);
  return found === null ? "" : `; did you mean ${found}?`;
}
