/** The only reader of the process environment; everything else is given an `Environment`. */

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A frozen copy of the variables this process was started with. */
export function readEnvironment(): Environment {
  return Object.freeze({ ...process.env });
}
