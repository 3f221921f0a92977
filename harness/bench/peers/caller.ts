/** A peer that answers calls in another thread, behind one face. */
import { makeTick, type Tick } from "../runtime/payloads.ts";

export interface Caller {
  readonly name: string;
  /** Sends a tick, gets its sequence number back. */
  call(tick: Tick): Promise<number>;
  close(): Promise<void>;
}

/** Makes `count` calls with `window` of them in flight; every reply is checked. */
export async function callMany(caller: Caller, count: number, window: number): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const sequence = next++;
      const reply = await caller.call(makeTick(sequence));
      if (reply !== sequence) throw new Error(`${caller.name}: ${reply} answers ${sequence}`);
    }
  };
  await Promise.all(Array.from({ length: window }, lane));
}
