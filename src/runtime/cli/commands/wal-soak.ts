/** `wal soak`: kills real writers of a log at random moments and checks what is left each time. */
import { resolve } from "node:path";
import { EXIT, exitCodeOfSignal } from "../../run/exit.ts";
import type { CliDeps } from "../deps.ts";
import type { SoakOutcome } from "../durable-deps.ts";
import type { GlobalValues } from "../options.ts";
import { formatCount, formatDuration } from "../ui/format.ts";
import { alignColumns } from "./use-run.ts";

/** Flags of `wal soak`. */
export interface WalSoakValues extends GlobalValues {
  readonly seconds: number;
  readonly seed: number;
  readonly kills: number | null;
  readonly directory: string | null;
}

/** Exits with 4 when a promise was broken, and as signals do when it was interrupted. */
export async function runWalSoakCommand(values: WalSoakValues, deps: CliDeps): Promise<number> {
  const { seconds, seed, kills } = values;
  const directory = values.directory === null ? null : resolve(values.directory);
  const stop = deps.signals.hold(null);
  const outcome = await deps.durable.soak({ seconds, seed, kills, directory }, stop);
  if (values.json) deps.stdout.write(`${JSON.stringify({ kind: "wal-soak", ...outcome })}\n`);
  else deps.stdout.write(`${soakText(outcome, values.quiet)}\n`);
  if (!outcome.ok) return EXIT.promiseBroken;
  const signal = deps.signals.received();
  return outcome.interrupted && signal !== null ? exitCodeOfSignal(signal) : EXIT.done;
}

/** In one line; what nobody tried was not kept either. */
function verdictOf({ ok, interrupted, promises }: SoakOutcome): string {
  if (!ok) return "A PROMISE WAS BROKEN";
  const untried = promises.filter(({ checked }) => checked === 0).length;
  const kept =
    untried === 0
      ? "every promise was kept"
      : `no promise was broken; ${untried} of ${promises.length} were not tried: soak longer`;
  return interrupted ? `interrupted: ${kept}` : kept;
}

function soakText(outcome: SoakOutcome, quiet: boolean): string {
  const verdict = verdictOf(outcome);
  const again = `again: wal soak --seed ${outcome.seed} --kills ${Math.max(1, outcome.kills)}`;
  if (quiet) return verdict;
  const rows = outcome.promises.map(({ promise, checked, broken }) => [
    promise,
    formatCount(checked),
    formatCount(broken),
    broken > 0 ? "BROKEN" : checked === 0 ? "not tried" : "kept",
  ]);
  return [
    `seed ${outcome.seed}: ${formatCount(outcome.kills)} kills in ` +
      `${formatDuration(outcome.seconds)}, ${formatCount(outcome.acknowledged)} records ` +
      `acknowledged of ${formatCount(outcome.offered)} offered, ` +
      `${formatCount(outcome.torn)} torn tails, ${formatCount(outcome.flips)} flipped bits`,
    "",
    alignColumns([["PROMISE", "CHECKED", "BROKEN", "VERDICT"], ...rows]),
    "",
    ...outcome.findings,
    ...(outcome.directory === null ? [] : [`the log is in ${outcome.directory}`]),
    ...(outcome.ok ? [] : [again]),
    verdict,
  ].join("\n");
}
