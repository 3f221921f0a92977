/**
 * The order in which samples are trained: a fresh shuffle every epoch from one seeded stream, cut
 * into batches; the last, shorter batch is trained too. Resumable in the middle of an epoch.
 */
import type { Samples } from "../../protocols/dataset.ts";
import { type Random, type RandomState, restoreRandom } from "../../runtime/random.ts";

export interface CursorState {
  /** Stream state from which the current epoch's order was drawn. */
  readonly epochStart: RandomState;
  readonly epoch: number;
  readonly position: number;
}

export class BatchCursor {
  readonly #samples: Samples;
  readonly #width: number;
  readonly #batchSize: number;
  readonly #order: Uint32Array;
  #random: Random;
  #epochStart: RandomState;
  #epoch: number;
  #position: number;

  constructor(samples: Samples, batchSize: number, state: CursorState) {
    this.#samples = samples;
    this.#width = samples.x.length / samples.count;
    this.#batchSize = batchSize;
    this.#order = new Uint32Array(samples.count);
    this.#random = restoreRandom(state.epochStart);
    this.#epochStart = state.epochStart;
    this.#epoch = state.epoch;
    this.#shuffle();
    this.#position = state.position;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get stepsPerEpoch(): number {
    return Math.ceil(this.#samples.count / this.#batchSize);
  }

  /** Steps of the current epoch already taken. */
  get epochStep(): number {
    return Math.ceil(this.#position / this.#batchSize);
  }

  get epochDone(): boolean {
    return this.#position >= this.#samples.count;
  }

  startNextEpoch(): void {
    this.#epoch += 1;
    this.#epochStart = this.#random.state();
    this.#shuffle();
    this.#position = 0;
  }

  /** Copies the next batch out; shapes [count, width] and [count]. */
  next(): Samples {
    const from = this.#position;
    const count = Math.min(this.#batchSize, this.#samples.count - from);
    const x = new Float32Array(count * this.#width);
    const y = new Float32Array(count);
    for (let row = 0; row < count; row++) {
      const source = this.#order[from + row] as number;
      const start = source * this.#width;
      x.set(this.#samples.x.subarray(start, start + this.#width), row * this.#width);
      y[row] = this.#samples.y[source] as number;
    }
    this.#position = from + count;
    return { count, x, y };
  }

  state(): CursorState {
    return { epochStart: this.#epochStart, epoch: this.#epoch, position: this.#position };
  }

  #shuffle(): void {
    for (let index = 0; index < this.#order.length; index++) this.#order[index] = index;
    this.#random.shuffle(this.#order);
  }
}
