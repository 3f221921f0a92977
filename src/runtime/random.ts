/**
 * Seeded random streams. One run seed gives many independent named streams (data, init, order,
 * jitter), so adding a draw to one never shifts another. State is plain data and resumable.
 */

export interface RandomState {
  readonly key: number;
  readonly counter: number;
}

/** A stream of random numbers that can be repeated. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** Standard normal (Box-Muller, one value per two draws so the state stays two integers). */
  normal(): number;
  /** Uniform integer in [0, bound). */
  integer(bound: number): number;
  /** Fisher-Yates, in place. */
  shuffle(items: { length: number; [index: number]: number }): void;
  /** Where the stream stands. */
  state(): RandomState;
}

/** 32-bit FNV-1a over UTF-16 units, mixed with the run seed: names a stream. */
function streamKey(seed: number, stream: string): number {
  let hash = 0x811c9dc5 ^ (seed >>> 0);
  hash = Math.imul(hash ^ Math.floor(seed / 2 ** 32), 0x01000193);
  for (let index = 0; index < stream.length; index++) {
    hash = Math.imul(hash ^ stream.charCodeAt(index), 0x01000193);
  }
  return mix(hash >>> 0);
}

/** The finaliser of SplitMix32: every input bit reaches every output bit. */
function mix(value: number): number {
  let z = value | 0;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return (z ^ (z >>> 15)) >>> 0;
}

/** Restores a stream exactly where `state()` was taken. */
export function restoreRandom(state: RandomState): Random {
  const key = state.key;
  let counter = state.counter;
  const next = (): number => {
    counter = (counter + 1) % 2 ** 32;
    const high = mix(key + Math.imul(counter, 0x9e3779b9));
    return high / 2 ** 32;
  };
  return {
    next,
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
    integer: (bound) => Math.floor(next() * bound),
    shuffle(items) {
      for (let last = items.length - 1; last > 0; last--) {
        const pick = Math.floor(next() * (last + 1));
        const held = items[last] as number;
        items[last] = items[pick] as number;
        items[pick] = held;
      }
    },
    state: () => ({ key, counter }),
  };
}

/** The stream of this name under this run seed. */
export function createRandom(seed: number, stream: string): Random {
  return restoreRandom({ key: streamKey(seed, stream), counter: 0 });
}
