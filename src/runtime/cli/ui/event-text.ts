/**
 * Events carry text of other people: names of columns, classes, files, messages of errors. Before
 * any of it reaches a terminal it is made printable, here and for the whole event at once, so that
 * no line can forget it.
 */
import type { RunEvent } from "../../../protocols/run.ts";
import { printable } from "./width.ts";

/** The same event with every text in it, keys included, made printable. */
export function printableEvent(event: RunEvent): RunEvent {
  return event.kind === "progress" ? event : clean(event);
}

/** Keeps the shape: only texts and keys change, and known keys are printable already. */
function clean<T>(value: T): T {
  return cleanValue(value) as T;
}

function cleanValue(value: unknown): unknown {
  if (typeof value === "string") return printable(value);
  if (Array.isArray(value)) return value.map(cleanValue);
  if (value === null || typeof value !== "object") return value;
  const entries = Object.entries(value).map(([key, item]) => [printable(key), cleanValue(item)]);
  return Object.fromEntries(entries);
}
