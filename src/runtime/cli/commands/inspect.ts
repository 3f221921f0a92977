/** `inspect`: looks into a run that another process is working on, once or again and again. */
import { EsperError } from "../../../protocols/errors.ts";
import { EXIT } from "../../run/exit.ts";
import type { CancellationToken } from "../../token.ts";
import type { CliDeps, RunConnection } from "../deps.ts";
import type { GlobalValues } from "../options.ts";
import { Frame } from "../ui/frame.ts";
import { inspectLines } from "../ui/inspect-text.ts";
import { createPalette } from "../ui/palette.ts";
import { wantsColour } from "./train.ts";
import { runRef } from "./use-run.ts";

/** Flags of `inspect`. */
export interface InspectValues extends GlobalValues {
  /** Seconds between two looks; null looks once. */
  readonly watch: number | null;
}

/** How long rates are measured when there is only one look. */
const ONE_LOOK_MS = 500;

/** Shows one look, or with `--watch` a new one every so many seconds until it is stopped. */
export async function runInspect(
  run: string,
  values: InspectValues,
  deps: CliDeps,
): Promise<number> {
  if (values.quiet) {
    throw new EsperError("USAGE", "--quiet does not apply to inspect", { flag: "--quiet" });
  }
  const connection = await deps.openControl(await runRef(run, values, deps));
  try {
    if (values.watch === null) await showOnce(connection, values, deps);
    else await watch(connection, values.watch * 1_000, values, deps);
    return EXIT.done;
  } finally {
    connection.close();
  }
}

async function showOnce(
  connection: RunConnection,
  values: InspectValues,
  deps: CliDeps,
): Promise<void> {
  const lines = await look(connection, ONE_LOOK_MS, values, deps);
  deps.stdout.write(lines.map((line) => `${line}\n`).join(""));
}

/** In place on a terminal, one below the other elsewhere. */
async function watch(
  connection: RunConnection,
  everyMs: number,
  values: InspectValues,
  deps: CliDeps,
): Promise<void> {
  const { stdout, clock, signals } = deps;
  const stop = signals.hold(null);
  const ended = untilCancelled(stop, connection);
  let lines: readonly string[] = [];
  const { write, columns, rows } = stdout;
  const screen = { write: write.bind(stdout), columns, rows, clock };
  const frame = stdout.isTTY && !values.json ? new Frame(screen, () => lines) : null;
  try {
    for (let overMs = Math.min(ONE_LOOK_MS, everyMs); ; overMs = everyMs) {
      const fresh = await Promise.race([look(connection, overMs, values, deps), ended]);
      if (fresh === null) return;
      lines = fresh;
      if (frame === null) stdout.write(`${fresh.join("\n")}\n${values.json ? "" : "\n"}`);
      else frame.refresh();
    }
  } catch (error) {
    // Closing the connection ends the look in progress with an error.
    if (!stop.cancelled) throw error;
  } finally {
    frame?.close(true);
  }
}

function untilCancelled(stop: CancellationToken, connection: RunConnection): Promise<null> {
  return new Promise((resolve) => {
    stop.onCancel(() => {
      connection.close();
      resolve(null);
    });
  });
}

async function look(
  connection: RunConnection,
  overMs: number,
  { json }: InspectValues,
  deps: CliDeps,
): Promise<string[]> {
  const { runId, directory } = connection;
  const snapshot = await connection.inspect({ overMs });
  if (json) return [JSON.stringify({ kind: "inspect", runId, directory, ...snapshot })];
  return inspectLines(runId, snapshot, createPalette(wantsColour(deps)));
}
