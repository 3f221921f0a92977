/**
 * A thread that works through a bulk ring and looks at one word before each record, to learn
 * whether anything urgent came. Promised: an urgent record waits for one handler at most, once its
 * sender has bumped the word. Steps are those of `ThreadBlock.bumpUrgent`, `ThreadBlock.urgent` and
 * of a drain of both rings; the rings' own steps are in ring-model.ts.
 */
import type { Choice, Model } from "./explore.ts";

export type UrgentMutant = "bump before publish" | "word read after the ring" | "word never read";

interface UrgentSettings {
  readonly urgent: number;
  readonly bulk: number;
  readonly mutant?: UrgentMutant;
}

interface UrgentState {
  /** Shared: records published on the urgent ring, and the word. */
  published: number;
  word: number;
  /** The sender: its step and what it has announced. */
  senderAt: "publish" | "bump" | "done";
  announced: number;
  /** The busy thread. */
  at:
    | "load word"
    | "drain urgent"
    | "load word after"
    | "handle bulk"
    | "look once more"
    | "asleep";
  seen: number;
  loaded: number;
  handledUrgent: number;
  handledBulk: number;
  /** Bulk records handled while an announced urgent record waited. */
  overtaken: number;
}

function sendStep(s: UrgentState, o: UrgentSettings): null {
  const first = o.mutant === "bump before publish" ? "bump" : "publish";
  if (s.senderAt === "publish") s.published++;
  else s.word++;
  const isLast = s.senderAt !== first;
  if (isLast) s.announced++;
  if (!isLast) s.senderAt = first === "publish" ? "bump" : "publish";
  else s.senderAt = s.announced === o.urgent ? "done" : first;
  return null;
}

/** After looking: drain the urgent ring when the word moved, else go on with bulk. */
function decide(s: UrgentState, o: UrgentSettings): void {
  const moved = s.loaded !== s.seen && o.mutant !== "word never read";
  if (o.mutant !== "word read after the ring") s.seen = s.loaded;
  s.at = moved ? "drain urgent" : nextBulk(s, o);
}

function nextBulk(s: UrgentState, o: UrgentSettings): UrgentState["at"] {
  return s.handledBulk < o.bulk ? "handle bulk" : "look once more";
}

function workStep(s: UrgentState, o: UrgentSettings): string | null {
  switch (s.at) {
    case "load word":
      s.loaded = s.word;
      decide(s, o);
      return null;
    case "drain urgent":
      s.handledUrgent = s.published;
      s.overtaken = 0;
      s.at = o.mutant === "word read after the ring" ? "load word after" : nextBulk(s, o);
      return null;
    case "load word after":
      s.seen = s.word;
      s.at = nextBulk(s, o);
      return null;
    case "handle bulk":
      s.handledBulk++;
      if (s.announced > s.handledUrgent) s.overtaken++;
      s.at = "load word";
      return s.overtaken > 1 ? `${s.overtaken} bulk records overtook an urgent one` : null;
    case "look once more":
      // What `park` does before it sleeps: it looks at the rings themselves.
      s.handledUrgent = s.published;
      s.at = "asleep";
      return null;
    case "asleep":
      return null;
  }
}

function choices(s: UrgentState, o: UrgentSettings): Choice<UrgentState>[] {
  const found: Choice<UrgentState>[] = [];
  const add = (label: string, run: Choice<UrgentState>["run"]): void => {
    found.push({ label, optional: false, run });
  };
  if (s.senderAt !== "done") add(`sender: ${s.senderAt}`, (copy) => sendStep(copy, o));
  // The doorbell wakes a sleeping thread; waking it is the ring model's matter.
  const rung = s.at === "asleep" && s.published > s.handledUrgent;
  if (s.at !== "asleep") add(`thread: ${s.at}`, (copy) => workStep(copy, o));
  if (rung) {
    add("bell", (copy) => {
      copy.at = "look once more";
      return null;
    });
  }
  return found;
}

/** One sender of urgent records and a thread busy with bulk ones. */
export function urgentModel(o: UrgentSettings): Model<UrgentState> {
  return {
    initial: {
      ...{ published: 0, word: 0, announced: 0, at: "load word", seen: 0, loaded: 0 },
      senderAt: o.mutant === "bump before publish" ? "bump" : "publish",
      ...{ handledUrgent: 0, handledBulk: 0, overtaken: 0 },
    },
    copy: (s) => ({ ...s }),
    key: (s) => Object.values(s).join("|"),
    choices: (s) => choices(s, o),
    unfinished: (s) =>
      s.handledUrgent < o.urgent ? `${o.urgent - s.handledUrgent} urgent records unread` : null,
  };
}
