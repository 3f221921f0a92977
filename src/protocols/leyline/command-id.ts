/**
 * What a command is called: run, incarnation and counter. A run that is resumed or rewound counts
 * up its incarnation first, so no id is ever given twice, and every id tells whose command it is.
 */

export interface CommandIdentity {
  readonly runId: string;
  /** 1 for a fresh run, counted up before every resume or rewind. */
  readonly incarnation: number;
  /** Counts up within one incarnation; a decision asked twice keeps its own. */
  readonly counter: number;
}

const PATTERN = /^(.+)\/([1-9]\d{0,14})\/(\d{1,15})$/s;

/** The id under which the command is signed, claimed and reported. */
export function commandId({ runId, incarnation, counter }: CommandIdentity): string {
  return `${runId}/${incarnation}/${counter}`;
}

/** The inverse of `commandId`; null when it is not such an id. */
export function parseCommandId(id: string): CommandIdentity | null {
  const match = PATTERN.exec(id);
  if (match === null) return null;
  const [, runId = "", incarnation, counter] = match;
  return { runId, incarnation: Number(incarnation), counter: Number(counter) };
}
