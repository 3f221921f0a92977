/**
 * Exhaustive search over the interleavings of a small model: every state that any schedule can
 * reach is visited once. A violation comes back with the schedule that leads to it.
 */

/** One thing that can happen in a state. */
export interface Choice<S> {
  readonly label: string;
  /** A crash may happen but need not: it alone does not keep a system from being stuck. */
  readonly optional: boolean;
  /** Changes a copy of the state; a sentence when a promise is broken. */
  run(copy: S): string | null;
}

export interface Model<S> {
  readonly initial: S;
  copy(state: S): S;
  key(state: S): string;
  choices(state: S): Choice<S>[];
  /** What is wrong with a state in which nothing more must happen; null when all is done. */
  unfinished(state: S): string | null;
}

export interface Found {
  readonly states: number;
  readonly violation: string | null;
  readonly schedule: readonly string[];
}

class Visited {
  readonly #numbers = new Map<string, number>();
  readonly #parents: number[] = [];
  readonly #labels: string[] = [];

  get size(): number {
    return this.#parents.length;
  }

  add(key: string, parent: number, label: string): { number: number; isNew: boolean } {
    const known = this.#numbers.get(key);
    if (known !== undefined) return { number: known, isNew: false };
    const number = this.size;
    this.#numbers.set(key, number);
    this.#parents.push(parent);
    this.#labels.push(label);
    return { number, isNew: true };
  }

  scheduleTo(state: number): string[] {
    const schedule: string[] = [];
    for (let at = state; at > 0; at = this.#parents[at] ?? 0) {
      schedule.unshift(this.#labels[at] ?? "");
    }
    return schedule;
  }
}

/** States from which no schedule without further crashes finishes: a thread turns for ever. */
class Progress {
  readonly #from: number[] = [];
  readonly #to: number[] = [];
  readonly #finished: number[] = [];

  step(from: number, to: number): void {
    this.#from.push(from);
    this.#to.push(to);
  }

  finished(state: number): void {
    this.#finished.push(state);
  }

  /** A state that cannot finish, or -1. */
  hopeless(states: number): number {
    const starts = new Int32Array(states + 1);
    for (const to of this.#to) starts[to + 1] = (starts[to + 1] ?? 0) + 1;
    for (let at = 0; at < states; at++) starts[at + 1] = (starts[at + 1] ?? 0) + (starts[at] ?? 0);
    const sources = new Int32Array(this.#to.length);
    const filled = starts.slice();
    this.#to.forEach((to, edge) => {
      const place = filled[to] ?? 0;
      sources[place] = this.#from[edge] ?? 0;
      filled[to] = place + 1;
    });
    const reaches = new Uint8Array(states);
    const waiting = [...this.#finished];
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      if (reaches[at] === 1) continue;
      reaches[at] = 1;
      waiting.push(...sources.subarray(starts[at] ?? 0, starts[at + 1] ?? 0));
    }
    return reaches.indexOf(0);
  }
}

class Search<S> {
  readonly visited = new Visited();
  readonly progress = new Progress();
  readonly waiting: { state: S; number: number }[] = [];
  readonly #model: Model<S>;

  constructor(model: Model<S>) {
    this.#model = model;
    this.#reach(model.initial, 0, "");
  }

  /** Takes every choice in one state; a violation with its last step, or null. */
  visit(state: S, number: number): { violation: string; label: string | null } | null {
    const choices = this.#model.choices(state);
    for (const { label, optional, run } of choices) {
      const copy = this.#model.copy(state);
      const violation = run(copy);
      if (violation !== null) return { violation, label };
      const reached = this.#reach(copy, number, label);
      if (!optional) this.progress.step(number, reached);
    }
    if (choices.some(({ optional }) => !optional)) return null;
    this.progress.finished(number);
    const unfinished = this.#model.unfinished(state);
    return unfinished === null ? null : { violation: unfinished, label: null };
  }

  #reach(state: S, parent: number, label: string): number {
    const { number, isNew } = this.visited.add(this.#model.key(state), parent, label);
    if (isNew) this.waiting.push({ state, number });
    return number;
  }
}

/** Visits all states, or stops at the first violation; more states than `limit` is an error. */
export function explore<S>(model: Model<S>, limit = 1_000_000): Found {
  const search = new Search(model);
  const { visited, progress, waiting } = search;
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const wrong = search.visit(next.state, next.number);
    if (visited.size > limit) throw new Error(`more than ${limit} states`);
    if (wrong === null) continue;
    const last = wrong.label === null ? [] : [wrong.label];
    const schedule = [...visited.scheduleTo(next.number), ...last];
    return { states: visited.size, violation: wrong.violation, schedule };
  }
  const hopeless = progress.hopeless(visited.size);
  if (hopeless === -1) return { states: visited.size, violation: null, schedule: [] };
  const schedule = visited.scheduleTo(hopeless);
  return { states: visited.size, violation: "runs for ever", schedule };
}
