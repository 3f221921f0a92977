/**
 * The soak of the write-ahead log: real writer processes are killed at random moments, tails are
 * torn and bits flipped in between, and after every restart what is there is compared with what
 * the writers had confirmed. The plan follows from the seed; only the machine's timing differs.
 */
import { EsperError } from "../../protocols/errors.ts";
import { type Clock, sleep } from "../clock.ts";
import type { Files } from "../durable/files.ts";
import { Wal } from "../durable/wal.ts";
import { verifyLog } from "../durable/wal-verify.ts";
import { createRandom, type Random } from "../random.ts";
import type { CancellationToken } from "../token.ts";
import type { FromWriter } from "./messages.ts";
import { type Flip, flipBit, tearTail } from "./soak-damage.ts";
import { type FoundRecord, type PromiseCount, SoakOracle } from "./soak-oracle.ts";
import { Progress } from "./soak-progress.ts";
import { idOf, soakRecord } from "./soak-record.ts";
import type { SoakWriter, StartWriter } from "./writer-process.ts";

export interface SoakOptions {
  readonly files: Files;
  readonly clock: Clock;
  readonly startWriter: StartWriter;
  /** An empty directory. */
  readonly directory: string;
  readonly seed: number;
  readonly seconds: number;
  /** Ends after so many kills, if the time is not up before; null only by time. */
  readonly kills: number | null;
  readonly stop: CancellationToken;
}

/** What a soak has seen. `ok` is false when a promise was broken. */
export interface SoakReport {
  readonly ok: boolean;
  /** True when it was stopped before its time or its kills were over. */
  readonly interrupted: boolean;
  readonly seed: number;
  readonly seconds: number;
  readonly kills: number;
  readonly offered: number;
  readonly acknowledged: number;
  readonly torn: number;
  readonly flips: number;
  readonly promises: readonly PromiseCount[];
  readonly findings: readonly string[];
}

const CHUNK = 16;
const MAX_CHUNKS_IN_FLIGHT = 32;
const MAX_ACKS_A_LIFE = 800;
/** The kill falls this much later than the last confirmation counted, into writes under way. */
const MAX_EXTRA_MS = 12;
/** Without a confirmation for so long the writer counts as stuck. */
const STALL_MS = 20_000;
/** Records that are kept when the log is told to prune. */
const KEPT_RECORDS = 3_000;
const MAX_UNCONFIRMED = 8;
const PRUNE_ONE_IN = 3;
const TEAR_ONE_IN = 2;
const FLIP_ONE_IN = 4;

/** What is done in one round; it depends on nothing but seed and round. */
interface Plan {
  /** The kill comes after so many confirmations, and a little later. */
  readonly lifetime: number;
  readonly extraMs: number;
  readonly chunks: number;
  readonly prunes: boolean;
  readonly tears: boolean;
  readonly flips: boolean;
  /** After a flip: cut the damage off, instead of mending it. */
  readonly salvages: boolean;
  /** For places in files, whose sizes the machine's timing decides. */
  readonly random: Random;
}

function planOf(seed: number, round: number): Plan {
  const random = createRandom(seed, `soak-round-${round}`);
  return {
    lifetime: 1 + random.integer(MAX_ACKS_A_LIFE),
    extraMs: random.next() * MAX_EXTRA_MS,
    chunks: 1 + random.integer(MAX_CHUNKS_IN_FLIGHT),
    prunes: random.integer(PRUNE_ONE_IN) === 0,
    tears: random.integer(TEAR_ONE_IN) === 0,
    flips: random.integer(FLIP_ONE_IN) === 0,
    salvages: random.integer(2) === 0,
    random,
  };
}

class WalSoak {
  readonly #options: SoakOptions;
  readonly #oracle: SoakOracle;
  readonly #restarts: PromiseCount = {
    promise: "a killed or torn log opens again",
    checked: 0,
    broken: 0,
  };
  readonly #named: PromiseCount = { promise: "damage is named, not read", checked: 0, broken: 0 };
  readonly #salvaged: PromiseCount = {
    promise: "a salvage keeps all before the damage",
    checked: 0,
    broken: 0,
  };
  #kills = 0;
  #torn = 0;
  #flips = 0;
  #acks = 0;

  constructor(options: SoakOptions) {
    this.#options = options;
    this.#oracle = new SoakOracle(options.seed);
  }

  async run(): Promise<SoakReport> {
    const { clock, seconds, kills, stop, seed } = this.#options;
    const startedMs = clock.monotonicMs();
    const over = (): boolean =>
      clock.monotonicMs() - startedMs >= seconds * 1_000 ||
      (kills !== null && this.#kills >= kills);
    while (!stop.cancelled && !over() && !this.#broken) await this.#round();
    const interrupted = stop.cancelled && !over();
    const promises = this.#promises;
    return {
      ok: !this.#broken,
      interrupted,
      seed,
      seconds: (clock.monotonicMs() - startedMs) / 1_000,
      kills: this.#kills,
      offered: this.#oracle.nextId - 1,
      acknowledged: this.#acks,
      torn: this.#torn,
      flips: this.#flips,
      promises,
      findings: this.#oracle.findings,
    };
  }

  get #promises(): readonly PromiseCount[] {
    return [this.#oracle.kept, this.#oracle.true, this.#restarts, this.#named, this.#salvaged];
  }

  get #broken(): boolean {
    return this.#oracle.findings.length > 0 || this.#promises.some(({ broken }) => broken > 0);
  }

  /** A log that refuses where it must not is a broken promise, not an end of the soak. */
  async #round(): Promise<void> {
    const plan = planOf(this.#options.seed, this.#kills + 1);
    await this.#live(plan);
    try {
      await this.#harm(plan);
    } catch (error) {
      const isLog = EsperError.is(error) && error.code.startsWith("WAL_");
      if (!isLog) throw error;
      this.#restarts.broken++;
      this.#oracle.report(`the log refused to open: ${error.message}`);
    }
  }

  async #harm(plan: Plan): Promise<void> {
    if (plan.tears) await this.#tear(plan.random);
    this.#restarts.checked++;
    const found = await this.#reopen();
    if (plan.flips) await this.#flip(found, plan);
  }

  /** Cuts into what was written and never confirmed; when there is nothing, writes some first. */
  async #tear(random: Random): Promise<void> {
    const { files, directory, seed } = this.#options;
    const owed = this.#oracle.newestOwed;
    const tear = (): Promise<boolean> => tearTail(files, directory, seed, owed, random);
    let torn = await tear();
    if (!torn) {
      await this.#writeUnconfirmed(random);
      torn = await tear();
    }
    if (torn) this.#torn++;
  }

  /** Records that the oracle knows as offered only: a power failure may take them again. */
  async #writeUnconfirmed(random: Random): Promise<void> {
    const { files, directory, seed } = this.#options;
    const wal = await Wal.open({ files, directory });
    try {
      const count = 1 + random.integer(MAX_UNCONFIRMED);
      const from = this.#oracle.nextId;
      this.#oracle.offer(count);
      for (let id = from; id < from + count; id++) await wal.append(soakRecord(seed, id));
    } finally {
      await wal.close();
    }
  }

  /** One writer from its start to its violent end. */
  async #live({ lifetime, extraMs, chunks, prunes }: Plan): Promise<void> {
    const { directory, seed, clock, startWriter } = this.#options;
    const progress = new Progress(clock);
    let writer: SoakWriter | null = null;
    const heard = (message: FromWriter): void => {
      const due = this.#hear(message, progress);
      if (writer !== null) for (let chunk = 0; chunk < due; chunk++) this.#offer(writer);
      if (progress.acks >= lifetime) progress.end();
    };
    writer = await startWriter(directory, seed, heard);
    for (let chunk = 0; chunk < chunks; chunk++) this.#offer(writer);
    if (prunes) this.#prune(writer);
    try {
      await progress.ended(STALL_MS, this.#options.stop);
      await sleep(clock, extraMs);
    } finally {
      await writer.kill();
      this.#kills++;
    }
  }

  /** Returns how many chunks of records the writer may be given now. */
  #hear(message: FromWriter, progress: Progress): number {
    if (message.kind === "failed") {
      this.#oracle.report(`the writer failed: ${message.message}`);
      progress.end();
    }
    if (message.kind !== "kept") return 0;
    for (const [id, sequence] of message.acks) this.#oracle.acknowledge(id, sequence);
    this.#acks += message.acks.length;
    return progress.add(message.acks.length, CHUNK);
  }

  #offer(writer: SoakWriter): void {
    const from = this.#oracle.nextId;
    this.#oracle.offer(CHUNK);
    writer.offer(from, CHUNK);
  }

  #prune(writer: SoakWriter): void {
    const before = this.#oracle.nextId - KEPT_RECORDS;
    if (before <= 1) return;
    this.#oracle.mayForget(before);
    writer.prune(before);
  }

  /** Opens the log as the next start would, reads it and compares. */
  async #reopen(): Promise<readonly FoundRecord[]> {
    const { files, directory } = this.#options;
    const found = await readAll(files, directory, false);
    this.#oracle.check(found);
    return found;
  }

  /** A bit flips on the disk: it must be found, and nothing before it may be lost. */
  async #flip(found: readonly FoundRecord[], plan: Plan): Promise<void> {
    const { files, directory, seed } = this.#options;
    const ids = found.map(({ payload }) => idOf(payload) ?? 0);
    const flip = await flipBit(files, directory, seed, ids, plan.random);
    if (flip === null) return;
    this.#flips++;
    await this.#expectNamed(flip);
    if (!plan.salvages) {
      await flip.undo();
      await this.#reopen();
      return;
    }
    this.#salvaged.checked++;
    const kept = await readAll(files, directory, true);
    const wanted = ids.filter((id) => id < flip.firstLost);
    const got = kept.map(({ payload }) => idOf(payload) ?? 0);
    if (wanted.length !== got.length || wanted.some((id, index) => id !== got[index])) {
      this.#salvaged.broken++;
      this.#oracle.report(
        `a salvage of ${flip.path} (byte ${flip.offset}) kept ${got.length} records, ` +
          `expected ${wanted.length}`,
      );
    }
    this.#oracle.giveUp(flip.firstLost);
    this.#oracle.check(kept);
  }

  /** The damage is named, the strict open refuses it, and neither has changed a byte. */
  async #expectNamed({ path, offset, harmed }: Flip): Promise<void> {
    const { files, directory } = this.#options;
    this.#named.checked++;
    const { flaws } = await verifyLog(files, directory);
    const named = flaws.some((flaw) => flaw.file === path && flaw.offset <= offset);
    const refused = await readAll(files, directory, false).then(
      () => false,
      (error: unknown) => {
        if (EsperError.is(error, "WAL_CORRUPT")) return true;
        throw error;
      },
    );
    const untouched = Buffer.from(harmed).equals(await files.read(path));
    if (named && refused && untouched) return;
    this.#named.broken++;
    const refusal = refused ? "was refused, but the file was changed" : "was opened all the same";
    const what = named ? refusal : "was not named";
    this.#oracle.report(`the flipped bit at byte ${offset} of ${path} ${what}`);
  }
}

/** Every record of the log, which is opened as a start opens it and closed again. */
async function readAll(files: Files, directory: string, salvage: boolean): Promise<FoundRecord[]> {
  const wal = await Wal.open({ files, directory, salvage });
  try {
    const found: FoundRecord[] = [];
    for await (const record of wal.read()) found.push(record);
    return found;
  } finally {
    await wal.close();
  }
}

/** Runs a soak to its end. @throws {DEADLINE_EXCEEDED} when a writer is stuck. */
export function runWalSoak(options: SoakOptions): Promise<SoakReport> {
  return new WalSoak(options).run();
}
