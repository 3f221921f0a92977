/** The payloads both sides send: the same values, made anew for each message. */

/** Six fields, 64 bytes as a body. */
export interface Tick {
  readonly kind: string;
  readonly sequence: number;
  readonly at: number;
  readonly from: string;
  readonly priority: number;
  readonly loss: number;
}

/** The same six fields where names have numbers, as a declared payload has. */
export interface TypedTick {
  readonly sequence: number;
  readonly at: number;
  readonly from: number;
  readonly rank: number;
  readonly priority: number;
  readonly loss: number;
}

/** About one kilobyte: twenty small records under one head. */
export interface Telemetry {
  readonly kind: string;
  readonly sequence: number;
  readonly at: number;
  readonly from: string;
  readonly metrics: readonly {
    readonly name: string;
    readonly value: number;
    readonly unit: string;
  }[];
}

const EPOCH = 1_758_931_200_000;
const METRICS = 20;
const NAMES = Array.from({ length: METRICS }, (_, index) => `tolaria.metric.${index}`);
export const BLOCK_BYTES = 65_536;

export const makeTick = (sequence: number): Tick => ({
  kind: "epoch.tick",
  sequence,
  at: EPOCH + sequence,
  from: "tolaria/7",
  priority: 2,
  loss: 0.125,
});

export const makeTypedTick = (sequence: number): TypedTick => ({
  sequence,
  at: EPOCH + sequence,
  from: 7,
  rank: 3,
  priority: 2,
  loss: 0.125,
});

export const makeTelemetry = (sequence: number): Telemetry => ({
  kind: "telemetry",
  sequence,
  at: EPOCH + sequence,
  from: "tamiyo/eval-3",
  metrics: NAMES.map((name, index) => ({ name, value: index * 1.25 + 0.1 + sequence, unit: "ms" })),
});

const block = new Uint8Array(BLOCK_BYTES).fill(7);
const head = new Uint32Array(block.buffer, 0, 1);

/** One block for all messages, numbered anew: who sends it must copy it or lend it out. */
export function numberBlock(sequence: number): Uint8Array {
  head[0] = sequence;
  return block;
}

/** The number in a block, wherever its bytes lie; -1 when its end is not what was sent. */
export function readBlock(body: Uint8Array): number {
  if (body.length !== BLOCK_BYTES || body[BLOCK_BYTES - 1] !== 7) return -1;
  const [b0 = 0, b1 = 0, b2 = 0, b3 = 0] = body;
  return b0 + (b1 << 8) + (b2 << 16) + b3 * 2 ** 24;
}

/** True when the record arrived whole: its last value belongs to its number. */
export function isWhole({ sequence, metrics }: Telemetry): boolean {
  const last = metrics[METRICS - 1];
  return last !== undefined && last.value === (METRICS - 1) * 1.25 + 0.1 + sequence;
}

/** What a one-way message carries. */
export type Kind = "typed" | "plain" | "nested" | "block";

/** Messages on their way at most, on both sides alike. */
export const WINDOW: Readonly<Record<Kind, number>> = {
  typed: 2_048,
  plain: 1_024,
  nested: 128,
  block: 32,
};

/** How many arrivals the consumer acknowledges at once. */
export const ackEvery = (kind: Kind): number => WINDOW[kind] / 4;
