/** One broken rule: where, and what to do instead. */
export interface Violation {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

/** "path:line message", the form editors make clickable. */
export function formatViolation({ path, line, message }: Violation): string {
  return `${path}:${line} ${message}`;
}
