/** What a durable thing is put through on a disk that fails: one small life of its owner. */
import { type Clock, EsperError, type Files, type Random, type Timer } from "esper-runtime";
import type { Keeps, Told } from "./told.ts";

/** One life of a process: it opens, works and closes, and ends early where the disk fails. */
export interface Life {
  readonly files: Files;
  readonly told: Told;
  /** The same for every disk: the disk has a stream of its own. */
  readonly random: Random;
}

export interface Workload {
  readonly name: string;
  readonly keeps: Keeps;
  /** Throws nothing that the product names with a code; gives back every handle it opened. */
  run(life: Life): Promise<void>;
  /** Opens after a crash, strictly, and tells what is there, oldest first. */
  recover(life: Pick<Life, "files" | "told">): Promise<readonly string[]>;
}

/** The result, or null when the product refused with a code; anything else is a bug. */
export async function coded<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if (EsperError.is(error)) return null;
    throw error;
  }
}

/** A wall clock that is set by hand, also back. Its timers never fire. */
export class HandClock implements Clock {
  wallMs: number;

  constructor(wallMs: number) {
    this.wallMs = wallMs;
  }

  nowMs = (): number => this.wallMs;
  monotonicMs = (): number => 0;
  after = (): Timer => ({ cancel: () => undefined });
}

export const numberOf = (item: string): number => Number(item.slice(item.indexOf("-") + 1));

/** Bytes that only this item has, a few or many. */
export function payloadOf(item: string): Uint8Array {
  const number = numberOf(item);
  const size = number % 5 === 0 ? 700 : (number * 37) % 120;
  const filler = String.fromCharCode(97 + (number % 26)).repeat(size);
  return new TextEncoder().encode(JSON.stringify({ item, filler }));
}

/** The item with exactly these bytes; other bytes are told as an item that nobody offered. */
export function itemOf(payload: Uint8Array): string {
  const text = new TextDecoder().decode(payload);
  const item = /^\{"item":"(item-\d+)"/.exec(text)?.[1];
  const intact = item !== undefined && new TextDecoder().decode(payloadOf(item)) === text;
  return intact ? item : `damaged bytes ${JSON.stringify(text.slice(0, 40))}`;
}
