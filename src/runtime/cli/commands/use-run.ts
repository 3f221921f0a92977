/** The commands that use a run that has ended: `evaluate`, `predict`, `report` and `runs`. */
import { resolve } from "node:path";
import { EsperError } from "../../../protocols/errors.ts";
import { EXIT } from "../../run/exit.ts";
import type { CliDeps, DataFiles, RunListing, RunRef } from "../deps.ts";
import type { GlobalValues } from "../options.ts";

/** Flags of `evaluate`. */
export interface EvaluateValues extends GlobalValues {
  readonly data: readonly string[];
  readonly labels: string | null;
}

/** Flags of `predict`. */
export interface PredictValues extends EvaluateValues {
  readonly out: string | null;
}

/** Flags of `report`. */
export interface ReportValues extends GlobalValues {
  readonly out: string | null;
}

/** `evaluate <run> --data f`: the score of a trained network on data it has not seen. */
export async function runEvaluate(
  run: string,
  values: EvaluateValues,
  deps: CliDeps,
): Promise<number> {
  const input = requireData(values, "evaluate");
  const evaluation = await deps.evaluate(await runRef(run, values, deps), input);
  if (values.json) return writeJson(deps, { kind: "evaluation", ...evaluation });
  const { rows, scoreName, score, loss, dropped } = evaluation;
  const lines = [
    `run ${evaluation.runId} on ${rows} rows: ` +
      `${scoreName} ${score.toFixed(4)}, loss ${loss.toFixed(4)}`,
    ...Object.entries(dropped).map(([reason, count]) => `  left out ${count} rows: ${reason}`),
  ];
  deps.stdout.write(`${lines.join("\n")}\n`);
  return EXIT.done;
}

/** `predict <run> --data f --out g.csv`: one line of prediction per row of data. */
export async function runPredict(
  run: string,
  values: PredictValues,
  deps: CliDeps,
): Promise<number> {
  const input = requireData(values, "predict");
  if (values.out === null) {
    throw new EsperError("USAGE", "predict needs --out <file>: the CSV file to write", {
      flag: "--out",
    });
  }
  if (input.files.includes(values.out)) {
    throw new EsperError("USAGE", `--out ${values.out} is also the --data file; name another`, {
      flag: "--out",
    });
  }
  const prediction = await deps.predict(await runRef(run, values, deps), input, values.out);
  if (values.json) return writeJson(deps, { kind: "prediction", ...prediction });
  talk(values, deps, `${prediction.rows} predictions of run ${prediction.runId} in:`);
  deps.stdout.write(`${prediction.file}\n`);
  return EXIT.done;
}

/** `report <run>`: writes the HTML report and prints where it is. */
export async function runReport(run: string, values: ReportValues, deps: CliDeps): Promise<number> {
  const written = await deps.report(await runRef(run, values, deps), values.out);
  if (values.json) return writeJson(deps, { kind: "report", ...written });
  deps.stdout.write(`${written.file}\n`);
  return EXIT.done;
}

/** `runs`: the runs of a folder, newest first. */
export async function runList(values: GlobalValues, deps: CliDeps): Promise<number> {
  const runsDirectory = await runsFolder(values, deps);
  const { runs, unreadable } = await deps.listRuns(runsDirectory);
  if (values.json) return writeJson(deps, { kind: "runs", runsDirectory, runs, unreadable });
  for (const message of unreadable) talk(values, deps, `not listed: ${message}`);
  if (runs.length === 0) {
    const readable = unreadable.length === 0 ? "" : "readable ";
    talk(values, deps, `there are no ${readable}runs in ${runsDirectory}`);
    return EXIT.done;
  }
  const rows = [["RUN", "STARTED (UTC)", "STATUS", "DATA", "SCORE", "STEPS"], ...runs.map(runRow)];
  deps.stdout.write(`${alignColumns(rows)}\n`);
  return EXIT.done;
}

function runRow({ runId, createdAt, status, datasetName, summary }: RunListing): string[] {
  const started = createdAt.replace("T", " ").slice(0, 19);
  if (summary === null) return [runId, started, status, datasetName, "-", "-"];
  const score = `${summary.scoreName} ${summary.last.validationScore.toFixed(4)}`;
  return [runId, started, status, datasetName, score, String(summary.steps)];
}

/** Rows of cells as lines of equally wide columns, without space at the end. */
export function alignColumns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    }
  }
  return rows
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  "))
    .map((line) => line.trimEnd())
    .join("\n");
}

function requireData(values: EvaluateValues, command: string): DataFiles {
  if (values.data.length > 0) return { files: values.data, labels: values.labels };
  throw new EsperError("USAGE", `${command} needs --data <file>`, { flag: "--data" });
}

/** The run the user named, in the folder the user named. */
export async function runRef(run: string, values: GlobalValues, deps: CliDeps): Promise<RunRef> {
  if (run.trim() === "") {
    throw new EsperError("USAGE", "the run is an empty text: name an id, a path or latest", {
      given: run,
    });
  }
  return { runsDirectory: await runsFolder(values, deps), run };
}

/** The folder the user named, else the one of the configuration. */
async function runsFolder(values: GlobalValues, deps: CliDeps): Promise<string> {
  if (values.runs !== null) return values.runs;
  return resolve((await deps.loadConfig(values.config)).config.runDirectory);
}

function writeJson(deps: CliDeps, data: object): number {
  deps.stdout.write(`${JSON.stringify(data)}\n`);
  return EXIT.done;
}

/** Words beside the result go to stderr, so that stdout can be piped; none with `--quiet`. */
function talk(values: GlobalValues, deps: CliDeps, line: string): void {
  if (!values.quiet) deps.stderr.write(`${line}\n`);
}
