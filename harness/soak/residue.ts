/** What a process holds that must be given back: threads, handles, listeners, token slots. */
import { readdirSync } from "node:fs";
import { CancellationToken, EsperError } from "esper-runtime";
import type { Verdict } from "../lib/verdict.ts";

export interface Belongings {
  /** Null where the platform does not show them. */
  readonly threads: number | null;
  readonly handles: string;
  readonly listeners: number;
  readonly freeTokenSlots: number;
}

const PATIENCE_MS = 3_000;
const LOOK_EVERY_MS = 20;
/** So many looks without a change mean that nothing is ending any more. */
const SETTLED_LOOKS = 10;

function threads(): number | null {
  try {
    return readdirSync("/proc/self/task").length;
  } catch {
    return null;
  }
}

/** How many more tokens this thread could show to other threads now. */
function freeTokenSlots(): number {
  const held: CancellationToken[] = [];
  try {
    for (;;) {
      const token = new CancellationToken();
      held.push(token);
      void token.handle;
    }
  } catch (error) {
    if (!EsperError.is(error, "TOKEN_LIMIT")) throw error;
    return held.length - 1;
  } finally {
    for (const token of held) token.release();
  }
}

/** They come and go in every turn, also of the one who asks. */
const PASSING = ["Timeout", "Immediate"];

/** What the process holds now. */
function belongings(): Belongings {
  const handles = process.getActiveResourcesInfo().filter((kind) => !PASSING.includes(kind));
  return {
    threads: threads(),
    handles: handles.sort().join(", "),
    listeners: process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
    freeTokenSlots: freeTokenSlots(),
  };
}

const same = (one: Belongings, other: Belongings): boolean =>
  JSON.stringify(one) === JSON.stringify(other);

/** What it holds when nothing has ended for a while. */
export async function settledBelongings(): Promise<Belongings> {
  const endsAtMs = performance.now() + PATIENCE_MS;
  let now = belongings();
  for (let equal = 0; equal < SETTLED_LOOKS && performance.now() < endsAtMs; ) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    const next = belongings();
    equal = same(now, next) ? equal + 1 : 0;
    now = next;
  }
  return now;
}

/** Waits a while for what is still ending, then compares. */
export async function residueVerdict(before: Belongings): Promise<Verdict> {
  const endsAtMs = performance.now() + PATIENCE_MS;
  let after = belongings();
  while (!same(before, after) && performance.now() < endsAtMs) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    after = belongings();
  }
  const changed = (Object.keys(before) as (keyof Belongings)[])
    .filter((name) => before[name] !== after[name])
    .map((name) => `${name}: ${before[name]} -> ${after[name]}`);
  return {
    promise: "threads, handles, listeners and token slots are back at the baseline",
    measured: changed.length === 0 ? JSON.stringify(after) : changed.join("; "),
    kept: changed.length === 0,
  };
}
