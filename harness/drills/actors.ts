/**
 * Every failure that the runtime promises to survive, done to the running main job or, where the
 * count of messages is the promise, to an actor that counts them. One verdict a promise.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Finished } from "../lib/product.ts";
import { printVerdicts, type Verdict } from "../lib/verdict.ts";
import { ACTOR_CASES, type ActorCase } from "./actor-cases.ts";
import {
  type Disturbed,
  describeDisturbed,
  startDisturbed,
  writeDrillConfig,
} from "./disturbed-run.ts";
import { type Conservation, type MailboxKind, runMessageDrill } from "./message-drill.ts";
import { drillAbort, drillIgnored } from "./pool-drill.ts";

export interface ActorDrillRequest {
  /** Names of drills; all when it is left out. */
  readonly only?: readonly string[];
  readonly json?: boolean;
}

interface Outcome {
  readonly verdicts: readonly Verdict[];
  readonly figures: unknown;
}

interface Ground {
  readonly folder: string;
  readonly config: string;
  /** The run without faults, made when it is first needed. */
  undisturbed(): Promise<Finished>;
}

type Drill = (ground: Ground) => Promise<Outcome>;

const STORM_MESSAGES = 40_000;
const STORM = [
  ...["crash:victim.take@every=3989", "reject:victim.take@every=5003"],
  ...["overflow:victim.take@every=6007", "exit:victim.take@every=7001"],
  ...["wedge:victim.take@every=9001", "oom:victim.take@every=13001"],
];
/** A stop asked for while an actor hangs: its own limit, and what the rest takes. */
const STOP_MS = 12_000;
const NEVER_STUCK_MS = 60_000;

function digestOf({ summary, exitCode, stderr }: Finished): string {
  return summary?.digest ?? `none (exit ${exitCode}: ${stderr.trim()})`;
}

function sameResult(what: string, run: Finished, undisturbed: Finished): Verdict {
  const kept = run.summary !== null && digestOf(run) === digestOf(undisturbed);
  const measured = kept
    ? digestOf(run).slice(0, 12)
    : `${digestOf(run)} / ${digestOf(undisturbed)}`;
  return { promise: `${what}: the result is bit-identical to the undisturbed run`, measured, kept };
}

const text = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .map(([reason, count]) => `${count} ${reason}`)
    .join(", ") || "none";

/** Back in time with exactly the restarts that were promised, for the reason that was injected. */
function judgeRecovery(drill: ActorCase, disturbed: Disturbed): Verdict {
  const { name, about, recoveryMs: limitMs, since, exit } = drill;
  const { strikes, restarts, exits } = disturbed;
  const tookMs = since === "strike" ? disturbed.sinceStrikeMs : disturbed.sinceExitMs;
  const inTime = drill.restarts === 0 ? tookMs === null : (tookMs ?? limitMs + 1) <= limitMs;
  const ended = exit === null ? exits.length === 0 : exits.some((cause) => cause.includes(exit));
  const wanted =
    drill.restarts === 0 ? "no restart" : `${drill.restarts} restarts within ${limitMs} ms`;
  const why = exits.length === 0 ? "no thread ended" : exits.join("; ");
  return {
    promise: `${name} (${about}): ${wanted}`,
    measured: `${restarts} restarts, ${tookMs ?? 0} ms since the ${since}, x${strikes}; ${why}`,
    kept: strikes > 0 && inTime && restarts === drill.restarts && ended,
  };
}

function judgeLetters({ name, letters, exit }: ActorCase, { deadLetters }: Disturbed): Verdict {
  // The message in hand when a thread dies is lost with it, and counted.
  const allowed = exit === null ? [] : ["crashed-actor"];
  const reasons = Object.keys(deadLetters);
  const kept =
    (letters === null || reasons.includes(letters)) &&
    reasons.every((reason) => reason === letters || allowed.includes(reason));
  const wanted = [letters ?? "none", ...allowed].join(", at most ");
  return { promise: `${name}: dead letters: ${wanted}`, measured: text(deadLetters), kept };
}

const onMainJob =
  (drill: ActorCase): Drill =>
  async ({ folder, config, undisturbed }) => {
    const run = await startDisturbed(config, folder, drill.inject).finished;
    const disturbed = describeDisturbed(run);
    const same = sameResult(drill.name, run, await undisturbed());
    const { run: _, ...figures } = disturbed;
    const judged = [judgeRecovery(drill, disturbed), judgeLetters(drill, disturbed)];
    return { verdicts: [...judged, same], figures };
  };

/** The actor that decides hangs and polls nothing; then the run is asked to stop. */
const stop: Drill = async ({ folder, undisturbed }) => {
  const config = writeDrillConfig(folder, NEVER_STUCK_MS);
  const running = startDisturbed(config, folder, ["wedge:tamiyo.decide@n=25"]);
  await running.until((event) => event.kind === "notice" && event.message.includes(" struck "));
  const startedMs = performance.now();
  running.child.kill("SIGTERM");
  const ended = await running.finished;
  const tookMs = Math.round(performance.now() - startedMs);
  const resumed = await startDisturbed(config, folder, [], ["--resume", "latest"]).finished;
  const verdicts = [
    {
      promise: `stop (cancellation is ignored): forced, exit code 143 within ${STOP_MS} ms`,
      measured: `${tookMs} ms, exit code ${ended.exitCode}`,
      kept: tookMs <= STOP_MS && ended.exitCode === 143,
    },
    {
      // Decisions that were missed while the actor hung are missed for good, so no promise of bits.
      promise: "stop, then --resume latest: the run is trained to its end",
      measured: `${resumed.summary?.outcome ?? "none"}, ${resumed.summary?.steps ?? 0} steps`,
      kept: resumed.summary?.steps === (await undisturbed()).summary?.steps,
    },
  ];
  return { verdicts, figures: { tookMs, exitCode: ended.exitCode } };
};

function conserved(name: string, found: Conservation, mailbox: MailboxKind): Verdict[] {
  const { accepted, handled, lost, duplicated, disordered, deadLetters, restarts, wallMs } = found;
  const dead = Object.values(deadLetters).reduce((sum, count) => sum + count, 0);
  const noneDies = mailbox === "ring";
  const after = `${restarts} restarts, ${Math.round(wallMs)} ms`;
  return [
    {
      promise: `${name}: accepted = handled + dead letters${noneDies ? ", of which 0" : ""}`,
      measured: `${accepted} = ${handled} + ${dead} (${text(deadLetters)}), ${after}`,
      kept: lost === 0 && (dead === 0 || !noneDies) && restarts > 0,
    },
    {
      promise: `${name}: none twice, none out of order`,
      measured: `${duplicated} twice, ${disordered} out of order`,
      kept: duplicated === 0 && disordered === 0,
    },
  ];
}

const storm =
  (mailbox: MailboxKind): Drill =>
  async () => {
    const found = await runMessageDrill({ messages: STORM_MESSAGES, mailbox, faults: STORM });
    return { verdicts: conserved(`storm-${mailbox}`, found, mailbox), figures: found };
  };

/** A message that crashes its actor at every try, and the 99 around it. */
const quarantine: Drill = async () => {
  const faults = ["poison:victim.take@n=50"];
  const found = await runMessageDrill({ messages: 100, mailbox: "heap", faults });
  const { handled, deadLetters, disordered, restarts } = found;
  const letters = text(deadLetters);
  const verdict = {
    promise: "quarantine: the other 99 are handled in order, the poison after 2 tries never again",
    measured: `${handled} handled, ${disordered} out of order, ${letters}, ${restarts} restarts`,
    kept: handled === 99 && disordered === 0 && deadLetters["quarantined"] === 1 && restarts === 2,
  };
  return { verdicts: [verdict], figures: found };
};

const alone =
  (drill: () => Promise<Verdict[]>): Drill =>
  async () => {
    const verdicts = await drill();
    return { verdicts, figures: null };
  };

const DRILLS: Readonly<Record<string, Drill>> = {
  ...Object.fromEntries(ACTOR_CASES.map((drill) => [drill.name, onMainJob(drill)])),
  ...{ stop, abort: alone(drillAbort), ignored: alone(drillIgnored), quarantine },
  "storm-heap": storm("heap"),
  "storm-ring": storm("ring"),
};

/** A drill that cannot be carried out is a promise that was not shown. */
async function attempt(name: string, ground: Ground): Promise<Outcome> {
  const drill = DRILLS[name];
  try {
    if (drill !== undefined) return await drill(ground);
    throw new Error(`there is no drill ${name}`);
  } catch (error) {
    const verdict = { promise: `${name}: is carried out`, measured: String(error), kept: false };
    return { verdicts: [verdict], figures: null };
  }
}

/** Names of the drills, in the order in which they run. */
export const ACTOR_DRILLS: readonly string[] = Object.keys(DRILLS);

/** Runs the drills; false when a promise is broken. */
export async function runActorDrills({ only, json }: ActorDrillRequest): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), "esper-actors-"));
  const config = writeDrillConfig(folder);
  let undisturbed: Promise<Finished> | null = null;
  const ground: Ground = {
    folder,
    config,
    undisturbed() {
      undisturbed ??= startDisturbed(config, folder, []).finished;
      return undisturbed;
    },
  };
  const report: Record<string, Outcome> = {};
  try {
    for (const name of only ?? ACTOR_DRILLS) {
      const outcome = await attempt(name, ground);
      report[name] = outcome;
      if (json !== true) printVerdicts(`drill actors: ${name}`, outcome.verdicts);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const kept = Object.values(report).every(({ verdicts }) => verdicts.every((one) => one.kept));
  if (json === true) console.log(JSON.stringify({ kept, drills: report }));
  return kept;
}
