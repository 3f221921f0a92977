/** Counts what arrives out of order: the checksum of every message bench. */

/** Sequence numbers of one sender must arrive as 0, 1, 2, ... with nothing missing or doubled. */
export class Order {
  expected = 0;
  faults = 0;

  /** Takes the next arrival. Plain fields: this runs once a message. */
  arrived(sequence: number): void {
    if (sequence !== this.expected) this.faults += 1;
    this.expected = sequence + 1;
  }

  /** Faults so far; a count that differs from `count` is one more. */
  judge(count: number): number {
    return this.faults + (this.expected === count ? 0 : 1);
  }
}
