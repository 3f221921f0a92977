/** What the sender and the receiver remember of an item of the outbox, each in a safe place. */

/** The number that its `put` was answered with. */
export const SEQUENCE = (item: string): string => `sequence of ${item}`;
/** 1 when the receiver has asked for its end, 2 when that was answered. */
export const ACKNOWLEDGED = (item: string): string => `acknowledgement of ${item}`;
/** Failures that were reported. */
export const ATTEMPTS = (item: string): string => `attempts of ${item}`;
/** 1 when the receiver will never take it; that of the reason when it was told that it is dead. */
export const DIED = (item: string): string => `death of ${item}`;
/** The newest one of a lane that was acknowledged. */
export const NEWEST = (lane: string | null): string => `newest of ${lane ?? "no lane"}`;

export const REASONS = {
  never: { fact: 2, why: "the receiver will never take it" },
  busy: { fact: 3, why: "the receiver is busy" },
  room: { fact: 4, why: "no room for more" },
} as const;
