/** What a simulated run did, step by step: two runs with equal traces did the same. */

/** One step. */
export interface TracedStep {
  /** Virtual milliseconds since the start of the run. */
  readonly atMs: number;
  readonly what: string;
}

/** The steps of one run, in their order. */
export class Trace {
  readonly #steps: TracedStep[] = [];
  #hash = 0x811c9dc5;

  /** Notes one step. */
  add(atMs: number, what: string): void {
    this.#steps.push({ atMs, what });
    this.#mix(Math.round(atMs * 1_000));
    for (let index = 0; index < what.length; index++) this.#mix(what.charCodeAt(index));
  }

  get length(): number {
    return this.#steps.length;
  }

  get steps(): readonly TracedStep[] {
    return this.#steps;
  }

  /** Equal for equal traces, and hardly ever for others. */
  get digest(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, "0");
  }

  /** The last steps, a line each, numbered; equal neighbours are one line. */
  render(most: number): string {
    const lines: { text: string; times: number }[] = [];
    for (const [index, { atMs, what }] of this.#steps.entries()) {
      const last = lines.at(-1);
      if (last?.text.endsWith(` ${what}`)) last.times += 1;
      else
        lines.push({ text: `${index + 1}`.padStart(6).concat(` ${at(atMs)} ${what}`), times: 1 });
    }
    const shown = lines.slice(-most);
    const left = lines.length - shown.length;
    const text = shown.map(({ text, times }) => (times === 1 ? text : `${text} (${times} times)`));
    return [...(left > 0 ? [`       (${left} earlier lines)`] : []), ...text].join("\n");
  }

  #mix(value: number): void {
    this.#hash = Math.imul(this.#hash ^ value, 0x01000193);
  }
}

function at(ms: number): string {
  return `${ms.toFixed(1)} ms`.padStart(12);
}
