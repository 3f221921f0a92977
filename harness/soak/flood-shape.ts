/** The cells of the back-pressure soak: how large, how fast, what happens when it is too much. */
export const OVERFLOWS = ["wait", "reject", "drop-oldest", "latest-wins"] as const;
export type FloodOverflow = (typeof OVERFLOWS)[number];

/** Producers together send this many times what the consumer can handle. */
export const RATES = [1, 2, 10] as const;

export interface Size {
  readonly name: string;
  readonly bytes: number;
  /** Of the consumer's mailbox. */
  readonly capacity: number;
  /** What one message costs its consumer, at least. */
  readonly serviceUs: number;
}

export const SIZES: readonly Size[] = [
  { name: "64 B", bytes: 64, capacity: 512, serviceUs: 100 },
  { name: "4 KiB", bytes: 4_096, capacity: 128, serviceUs: 100 },
  { name: "1 MiB", bytes: 1_048_576, capacity: 16, serviceUs: 1_500 },
];

export const PRODUCERS = ["first", "second"] as const;

/** The lanes a flood uses; the place in the list is how a message names its lane. */
export const FLOOD_LANES = ["emergency", "control", "bulk"] as const;
export type FloodLane = (typeof FLOOD_LANES)[number];

export interface Cell {
  readonly rate: (typeof RATES)[number];
  readonly size: Size;
  readonly overflow: FloodOverflow;
}

export const cellName = ({ rate, size, overflow }: Cell): string =>
  `${overflow}, ${size.name}, ${rate}x`;

export const consumerName = ({ size, overflow }: Omit<Cell, "rate">): string =>
  `${overflow.replace("-", "")}${size.bytes}`;

export const CELLS: readonly Cell[] = SIZES.flatMap((size) =>
  OVERFLOWS.flatMap((overflow) => RATES.map((rate) => ({ rate, size, overflow }))),
);

/** Messages that may be on their way or in the mailbox: what it drops itself is dropped there. */
export function mostOnTheWay({ size, overflow }: Cell): number {
  const dropsItself = overflow === "drop-oldest" || overflow === "latest-wins";
  return dropsItself ? 2 * size.capacity : size.capacity;
}

/** The reserve for emergencies beside the capacity. */
export const emergencyReserve = (places: number): number => 64 + (places >> 3);
