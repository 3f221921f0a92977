/**
 * How jobs are written: plain functions of one module, named by key. A job keeps no state between
 * two runs, may be ended at any moment, and learns of its end only through its token.
 */
import { EsperError } from "../../protocols/errors.ts";
import type { Clock } from "../clock.ts";
import type { CancellationToken } from "../token.ts";

/** What a job is told beside its input. */
export interface JobContext {
  /** The key of the function that runs. */
  readonly name: string;
  /** Set when the caller cancels, at the deadline, and when the pool closes. */
  readonly token: CancellationToken;
  /** On `clock.monotonicMs()`, which all threads and processes of the machine share. */
  readonly deadlineAtMs: number;
  readonly clock: Clock;
}

/** One job. `never` accepts any input; the caller's types are checked where it is run. */
export type JobFunction = (input: never, job: JobContext) => unknown;

/** Job functions by name. */
export type JobMap = Readonly<Record<string, JobFunction>>;

/** What `run` takes as the input of the job `K`. */
export type InputOf<Jobs extends JobMap, K extends keyof Jobs> = Parameters<Jobs[K]>[0];

/** What `run` resolves with for the job `K`. */
export type ResultOf<Jobs extends JobMap, K extends keyof Jobs> = Awaited<ReturnType<Jobs[K]>>;

/** Job functions and the module in which a worker finds them. */
export interface JobsDefinition<Jobs extends JobMap = JobMap> {
  readonly kind: "jobs";
  readonly module: string;
  readonly functions: Jobs;
}

/** Where a worker finds a definition. */
export interface JobsSource {
  readonly module: string;
  readonly exportName: string;
}

/**
 * Declares jobs. `module` is the caller's `import.meta.url`, so that a worker can load the same
 * functions; the result must be an export of that module.
 */
export function defineJobs<const Jobs extends JobMap>(
  module: string,
  functions: Jobs,
): JobsDefinition<Jobs> {
  return { kind: "jobs", module, functions };
}

function isDefinition(value: unknown): value is JobsDefinition {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "jobs";
}

const namesOf = (definition: JobsDefinition): string =>
  Object.keys(definition.functions).sort().join(", ");

async function exportsOf(module: string): Promise<Readonly<Record<string, unknown>>> {
  return (await import(module)) as Readonly<Record<string, unknown>>;
}

/**
 * Finds the export that is this definition, else the only one with the same functions (a loader may
 * have made a second copy of the module).
 * @throws {CONFIG_INVALID} when there is none, or more than one.
 */
export async function locateJobs(definition: JobsDefinition): Promise<JobsSource> {
  const { module } = definition;
  const entries = Object.entries(await exportsOf(module));
  const same = entries.find(([, value]) => value === definition);
  if (same !== undefined) return { module, exportName: same[0] };
  const names = namesOf(definition);
  const alike = entries.filter(([, value]) => isDefinition(value) && namesOf(value) === names);
  if (alike.length === 1 && alike[0] !== undefined) return { module, exportName: alike[0][0] };
  const text =
    `the jobs (${names}) must be an export of ${module}, so that a worker can load them; ` +
    `there are ${alike.length} exports with these functions`;
  throw new EsperError("CONFIG_INVALID", text, { path: "jobs", module, found: alike.length });
}

/** @throws {CONFIG_INVALID} when the module has no such jobs. */
export async function loadJobs({ module, exportName }: JobsSource): Promise<JobMap> {
  const value = (await exportsOf(module))[exportName];
  if (isDefinition(value)) return value.functions;
  const text = `${module} has no jobs named ${exportName}`;
  throw new EsperError("CONFIG_INVALID", text, { path: "jobs", module, exportName });
}
