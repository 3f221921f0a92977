/**
 * kill -9 of a real writer at random moments, the log carried over from kill to kill. What each
 * writer told over its pipe is the oracle; about every second time nobody looks in between, so
 * that the next writer is the one to recover what the last one left.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createRandom, type Random, systemFiles, Wal } from "esper-runtime";
import { mapWithJobs } from "../../lib/statistics.ts";
import type { Verdict } from "../../lib/verdict.ts";
import { drawMoment, killOne } from "./kill-one.ts";
import { Oracle, type SeenRecord } from "./oracle.ts";
import type { ToldKind } from "./told.ts";

export interface KillRequest {
  readonly kills: number;
  readonly seed: number;
  /** Writers that are killed side by side, each with a log of its own. */
  readonly jobs: number;
  readonly directory: string;
}

/** What the kills came to. */
export interface KillFigures {
  readonly kills: number;
  /** Killed before the log was open, and while an append had no answer yet. */
  readonly whileOpening: number;
  readonly whileWriting: number;
  readonly acknowledged: number;
  /** Records that the looks compared, of which nobody had been told. */
  readonly compared: number;
  readonly unacknowledged: number;
  readonly looks: number;
  readonly tornBytes: number;
  readonly prunes: number;
  readonly compactions: number;
  readonly wallMs: number;
  readonly lost: readonly string[];
  readonly phantom: readonly string[];
  readonly disordered: readonly string[];
  /** Writers that ended otherwise, and opens that failed. */
  readonly failures: readonly string[];
}

const LOOK_SHARE = 0.5;

class Track {
  readonly #request: KillRequest;
  readonly #directory: string;
  readonly #random: Random;
  readonly #oracle: Oracle;
  readonly #told: Record<ToldKind, number>;
  readonly lost: string[] = [];
  readonly phantom: string[] = [];
  readonly disordered: string[] = [];
  readonly failures: string[] = [];
  whileOpening = 0;
  whileWriting = 0;
  compared = 0;
  unacknowledged = 0;
  looks = 0;
  tornBytes = 0;

  constructor(request: KillRequest, number: number) {
    this.#request = request;
    this.#directory = join(request.directory, `log-${number}`);
    this.#random = createRandom(request.seed, `kill:${number}`);
    this.#oracle = new Oracle(request.seed);
    this.#told = {
      ...{ ready: 0, offer: 0, acknowledged: 0, prune: 0, pruned: 0, compact: 0, compacted: 0 },
    };
    mkdirSync(this.#directory, { recursive: true });
  }

  get told(): Readonly<Record<ToldKind, number>> {
    return this.#told;
  }

  async kill(life: number, isLast: boolean): Promise<void> {
    const { seed } = this.#request;
    const args = [this.#directory, seed, life, this.#oracle.nextTimeMs];
    const moment = drawMoment(this.#random);
    const looks = this.#random.next() < LOOK_SHARE || isLast;
    const { told, failure } = await killOne(args, moment);
    if (failure !== null) this.failures.push(`life ${life} ${failure}`);
    for (const { kind } of told) this.#told[kind] += 1;
    const count = (wanted: ToldKind): number => told.filter(({ kind }) => kind === wanted).length;
    if (count("ready") === 0) this.whileOpening += 1;
    if (count("offer") > count("acknowledged")) this.whileWriting += 1;
    this.#oracle.hear(life, told);
    if (looks) await this.#look(life);
  }

  async #look(life: number): Promise<void> {
    const records: SeenRecord[] = [];
    try {
      const wal = await Wal.open({ files: systemFiles, directory: this.#directory });
      this.tornBytes += wal.status.tornBytes;
      for await (const record of wal.read()) records.push(record);
      await wal.close();
    } catch (error) {
      this.failures.push(`after life ${life} the log could not be read: ${String(error)}`);
      return;
    }
    const { lost, phantom, disordered, unacknowledged } = this.#oracle.look(records);
    this.lost.push(...lost);
    this.phantom.push(...phantom);
    this.disordered.push(...disordered);
    this.compared += records.length;
    this.unacknowledged += unacknowledged;
    this.looks += 1;
  }
}

/** Kills so many writers; `say` hears of the progress. */
export async function killWriters(
  request: KillRequest,
  say: (line: string) => void,
): Promise<KillFigures> {
  const startedMs = performance.now();
  const jobs = Math.min(request.jobs, request.kills);
  const tracks = Array.from({ length: jobs }, (_, number) => new Track(request, number));
  let kills = 0;
  await mapWithJobs(tracks, jobs, async (track, number) => {
    const own = Math.floor((request.kills + number) / jobs);
    for (let life = 1; life <= own; life++) {
      await track.kill(life, life === own);
      kills += 1;
      if (kills % 500 === 0) say(`kill: ${kills} of ${request.kills}`);
    }
  });
  const sum = (pick: (track: Track) => number): number =>
    tracks.reduce((total, track) => total + pick(track), 0);
  return {
    kills,
    whileOpening: sum((track) => track.whileOpening),
    whileWriting: sum((track) => track.whileWriting),
    acknowledged: sum(({ told }) => told.acknowledged),
    compared: sum((track) => track.compared),
    unacknowledged: sum((track) => track.unacknowledged),
    looks: sum((track) => track.looks),
    tornBytes: sum((track) => track.tornBytes),
    prunes: sum(({ told }) => told.pruned),
    compactions: sum(({ told }) => told.compacted),
    wallMs: Math.round(performance.now() - startedMs),
    lost: tracks.flatMap((track) => track.lost),
    phantom: tracks.flatMap((track) => track.phantom),
    disordered: tracks.flatMap((track) => track.disordered),
    failures: tracks.flatMap((track) => track.failures),
  };
}

/** The number of them and the first three. */
function some(found: readonly string[]): string {
  const rest = found.length > 0 ? ` (${found.slice(0, 3).join("; ")})` : "";
  return `${found.length}${rest}`;
}

/** One verdict a promise; a drill that met nothing of what it is for shows nothing. */
export function killVerdicts(figures: KillFigures): Verdict[] {
  const { kills, whileOpening, whileWriting, acknowledged, compared, looks } = figures;
  const { lost, phantom, disordered, failures, unacknowledged, prunes, compactions } = figures;
  return [
    {
      promise: `kill -9, ${kills} times: 0 acknowledged records lost`,
      measured: `${some(lost)} of ${acknowledged} acknowledged`,
      kept: lost.length === 0 && acknowledged > kills,
    },
    {
      promise: "0 phantom records: every one that is there was offered, byte for byte",
      measured: `${some(phantom)} of ${compared} compared, ${unacknowledged} never acknowledged`,
      kept: phantom.length === 0 && compared > 0,
    },
    {
      promise: "records stand in the order of their offers, none twice",
      measured: `${some(disordered)} in ${looks} looks`,
      kept: disordered.length === 0 && looks > 0,
    },
    {
      promise: "the log opens after every kill, without salvage",
      measured: `${some(failures)} failures, ${figures.tornBytes} torn bytes cut off`,
      kept: failures.length === 0,
    },
    {
      promise: "the kills met writers at work: half of them had an append without an answer",
      measured:
        `${whileWriting} writing, ${whileOpening} opening, of ${kills}; ` +
        `${prunes} prunes, ${compactions} compactions`,
      kept: whileWriting >= kills / 2,
    },
  ];
}
