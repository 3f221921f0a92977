/** How data is refused: coded errors that name the file, the given value and what to do. */
import { type ErrorDetails, EsperError } from "../../protocols/errors.ts";

const MAX_QUOTED = 40;
const MAX_LISTED = 12;

/** A DATA_INVALID error whose message starts with the file. */
export function invalidData(path: string, message: string, details: ErrorDetails = {}): EsperError {
  return new EsperError("DATA_INVALID", `${path}: ${message}`, { path, ...details });
}

/** The text as a person may see it: quoted, control characters escaped, at most 40 characters. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}...` : text);
}

/** The names separated by commas; a long list ends with how many more there are. */
export function listed(names: readonly string[]): string {
  const shown = names.slice(0, MAX_LISTED).map(quoted).join(", ");
  const rest = names.length - MAX_LISTED;
  return rest > 0 ? `${shown} and ${rest} more` : shown;
}
