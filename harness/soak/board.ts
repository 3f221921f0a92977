/**
 * Shared memory in which a job leaves its effects and the caller looks for them: the oracle of "no
 * effect after the end". One place a job.
 */
const PLACE_BYTES = 16;

export class Board {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #instants: Float64Array;

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    this.#words = new Int32Array(memory);
    this.#instants = new Float64Array(memory);
  }

  static allocate(places: number): Board {
    return new Board(new SharedArrayBuffer(places * PLACE_BYTES));
  }

  clear(): void {
    this.#words.fill(0);
  }

  /** One effect of the job. */
  write(place: number): void {
    Atomics.add(this.#words, place * 4, 1);
  }

  /** How many effects the job has had so far. */
  written(place: number): number {
    return Atomics.load(this.#words, place * 4);
  }

  /** The job saw its token. */
  notice(place: number, atMs: number): void {
    this.#instants[place * 2 + 1] = atMs;
    // Whoever reads the instant has seen this store first.
    Atomics.store(this.#words, place * 4 + 1, 1);
  }

  /** When the job saw its token; null when it has not. */
  noticedAtMs(place: number): number | null {
    if (Atomics.load(this.#words, place * 4 + 1) === 0) return null;
    return this.#instants[place * 2 + 1] ?? null;
  }
}
