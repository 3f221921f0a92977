/**
 * The nonce ledger without its actor: the window of used ids over its log. "fresh" is answered only
 * after the claim is on disk; claims that come together share one flush. An id whose claim could
 * not be stored stays unused, and of two claims of one id at most one is ever fresh.
 */
import type { ClaimVerdict } from "../../protocols/actors/durable.ts";
import { EsperError, type TelemetryLevelName } from "../../protocols/errors.ts";
import type { Attributes } from "../../protocols/leyline/telemetry.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { Files } from "../../runtime/durable/files.ts";
import { requireOwnLog } from "../../runtime/durable/log-owner.ts";
import { Wal, type WalRecord } from "../../runtime/durable/wal.ts";
import type { RecentAttempts } from "./attempts.ts";
import { decodeRecord, encodeClaim, encodeFloor } from "./claim-record.ts";
import { replayClaims } from "./claim-replay.ts";
import { NonceWindow, type NonceWindowOptions } from "./nonce-window.ts";

export interface NonceLedgerOptions extends NonceWindowOptions {
  readonly files: Files;
  readonly directory: string;
  /** Only commands of this run are known here. */
  readonly runId: string;
  readonly clock: Clock;
  /** True: a damaged or lost log is salvaged, and everything issued before now is stale. */
  readonly salvage: boolean;
  /** Small by default, so that expired claims leave the disk soon: whole segments are removed. */
  readonly segmentBytes?: number;
  /** What an operator must see. */
  readonly tell: (name: string, level: TelemetryLevelName, attributes: Attributes) => void;
}

/** What is claimed; see `LedgerProtocol`. */
export interface Claim {
  readonly commandId: string;
  readonly issuedAtMs: number;
  readonly attempt: string;
}

const SEGMENT_BYTES = 131_072;
/** The log is looked through for expired segments this often in the life of an entry. */
const PRUNES_PER_LIFE = 32;

/** The log is compacted when it holds so many more records than twice the live ones. */
const SPARE_RECORDS = 4_096;

/** What the log need not keep once a record with this floor is on disk. */
interface Prunable {
  /** Claims of an earlier time are all forgotten. */
  readonly beforeMs: number;
  /** Claims until then have outlived their time; those issued until the floor stay stale. */
  readonly claimedUntilMs: number;
  readonly floorMs: number;
}

export class NonceLedger {
  readonly #options: NonceLedgerOptions;
  readonly #wal: Wal;
  readonly #window: NonceWindow;
  readonly #attempts: RecentAttempts;
  /** Claims on their way to the disk; each settles without an error. */
  readonly #writing = new Map<string, Promise<void>>();
  #full = false;
  #failure: EsperError | null = null;
  #prunedAtMs = 0;
  #pruning: Promise<void> | null = null;

  private constructor(
    options: NonceLedgerOptions,
    wal: Wal,
    window: NonceWindow,
    attempts: RecentAttempts,
  ) {
    this.#options = options;
    this.#wal = wal;
    this.#window = window;
    this.#attempts = attempts;
  }

  /**
   * Opens the ledger with every claim that is on disk.
   * @throws {WAL_CORRUPT} when claims are damaged and `salvage` is not set.
   * @throws {WAL_FOREIGN} when the log holds another run's claims.
   * @throws {STORAGE_FULL} @throws {STORAGE_FAILED} @throws {FRAME_MALFORMED}
   */
  static async open(options: NonceLedgerOptions): Promise<NonceLedger> {
    const { files, directory, runId, salvage, clock, tell } = options;
    const { segmentBytes = SEGMENT_BYTES } = options;
    const own = await requireOwnLog(files, directory, runId, "ledger");
    const wal = await Wal.open({ files, directory, clock, salvage, segmentBytes, ...own });
    try {
      const window = new NonceWindow(options);
      const { attempts, hasFloor } = await replayClaims(wal, window, options);
      const { salvage: salvaged, bytes } = wal.status;
      // A run's ledger is begun with the run: one without a byte was taken away.
      const isGone = salvage && salvaged === null && bytes === 0;
      // Also when a crash came between an earlier salvage and its floor.
      const isCut = salvaged !== null || (!hasFloor && (await holdsBroken(files, directory)));
      if (isGone || isCut) await distrust(wal, window, options);
      if (isGone) tell("nonce_ledger_lost", "CRITICAL", { directory, floorMs: window.floorMs });
      if (salvaged !== null) {
        const { file, offset, why, keptRecords } = salvaged;
        tell("nonce_ledger_salvaged", "CRITICAL", { file, offset, why, kept: keptRecords });
      }
      return new NonceLedger(options, wal, window, attempts);
    } catch (error) {
      await wal.close();
      throw error;
    }
  }

  get size(): number {
    return this.#window.size;
  }

  get evictionsTotal(): number {
    return this.#window.evictionsTotal;
  }

  get logBytes(): number {
    return this.#wal.status.bytes;
  }

  /** Why the last claim could not be stored; null when claims are stored. */
  get failure(): EsperError | null {
    return this.#failure;
  }

  /**
   * Judges the id and, when it is fresh, uses it up.
   * @throws {LEDGER_FULL} @throws {WAL_FULL} @throws {WAL_POISONED} with the id still unused.
   */
  async claim(claim: Claim): Promise<ClaimVerdict> {
    const { commandId, issuedAtMs, attempt } = claim;
    for (;;) {
      const nowMs = this.#options.clock.nowMs();
      const verdict = this.#window.judge(commandId, issuedAtMs, nowMs);
      if (verdict === "reserved") await this.#writing.get(commandId);
      else if (verdict === "full") throw this.#refuseFull();
      else if (verdict === "replayed") return this.#attempts.verdict(commandId, attempt);
      else if (verdict === "fresh") return this.#use(claim, nowMs);
      else return verdict;
    }
  }

  /** Forgets at most `limit` expired entries; true when there may be more. */
  expire(limit: number): boolean {
    return this.#window.expire(this.#options.clock.nowMs(), limit) === limit;
  }

  /** Waits for claims on their way and closes the log. Idempotent. */
  async close(): Promise<void> {
    await this.#wal.close();
    await this.#pruning;
  }

  async #use(claim: Claim, claimedAtMs: number): Promise<ClaimVerdict> {
    const { commandId } = claim;
    this.#full = false;
    this.#window.reserve(commandId, claimedAtMs);
    const stored = this.#store(claim, claimedAtMs);
    this.#writing.set(commandId, stored.then(noValue, noValue));
    try {
      await stored;
      return "fresh";
    } finally {
      this.#writing.delete(commandId);
    }
  }

  async #store(claim: Claim, claimedAtMs: number): Promise<void> {
    const window = this.#window;
    const prunable = this.#prunable(claimedAtMs);
    const payload = encodeClaim({ ...claim, floorMs: window.floorMs });
    try {
      await this.#wal.append({ timeMs: claimedAtMs, payload });
    } catch (error) {
      window.withdraw(claim.commandId);
      this.#failed(error);
      throw error;
    }
    window.add({ ...claim, claimedAtMs });
    this.#attempts.add(claim.commandId, claim.attempt);
    this.#recovered();
    if (prunable !== null) this.#pruning ??= this.#prune(prunable);
  }

  /**
   * What may leave the disk once the record that is being made is on it: it carries the floor that
   * keeps everything claimed before that time stale. Null when it is not yet worth a look.
   */
  #prunable(nowMs: number): Prunable | null {
    const { ttlMs } = this.#options;
    if (Math.abs(nowMs - this.#prunedAtMs) < ttlMs / PRUNES_PER_LIFE) return null;
    this.#prunedAtMs = nowMs;
    const claimedUntilMs = nowMs - ttlMs;
    const { floorMs, oldestMs } = this.#window;
    return { beforeMs: Math.min(claimedUntilMs, oldestMs), claimedUntilMs, floorMs };
  }

  /** Beside the claims: a slow removal holds nobody up, and a failed one is tried again later. */
  async #prune(prunable: Prunable): Promise<void> {
    try {
      await this.#wal.prune(prunable.beforeMs);
      // Claims of a clock that ran ahead live long, and keep the segments behind theirs.
      const wasted = this.#wal.status.records - 2 * this.size;
      if (wasted > SPARE_RECORDS) await this.#wal.compact((record) => isNeeded(record, prunable));
    } catch (error) {
      if (!EsperError.is(error)) throw error;
      // Closed in the middle of it: the next opening goes on where this one stopped.
      if (error.code === "ACTOR_STOPPED") return;
      const { code, message } = error;
      this.#options.tell("nonce_ledger_prune_failed", "WARNING", { code, why: message });
    } finally {
      this.#pruning = null;
    }
  }

  /** Told once, when it begins: every refused command is told of by the verifier. */
  #refuseFull(): EsperError {
    const { capacity, ttlMs, tell } = this.#options;
    const { size } = this;
    if (!this.#full) tell("nonce_ledger_full", "CRITICAL", { size, capacity });
    this.#full = true;
    return new EsperError(
      "LEDGER_FULL",
      `the nonce ledger holds ${size} live entries of ${capacity} allowed: ` +
        `entries live ${ttlMs} ms; wait, or raise KERNEL_NONCE_CACHE_SIZE`,
      { size, capacity, ttlMs },
    );
  }

  #failed(error: unknown): void {
    // A queue that is full for a moment is no failure of the disk.
    if (!EsperError.is(error) || error.row.retryable || this.#failure !== null) return;
    this.#failure = error;
    const { code, message } = error;
    this.#options.tell("nonce_ledger_unavailable", "CRITICAL", { code, why: message });
  }

  #recovered(): void {
    if (this.#failure === null) return;
    this.#failure = null;
    this.#options.tell("nonce_ledger_recovered", "INFO", { size: this.size });
  }
}

/** Nobody knows which ids were lost: none issued until now may pass, in any later life either. */
async function distrust(
  wal: Wal,
  window: NonceWindow,
  { runId, clock }: NonceLedgerOptions,
): Promise<void> {
  const timeMs = clock.nowMs();
  await wal.append({ timeMs, payload: encodeFloor(runId, timeMs) });
  window.raiseFloor(timeMs);
}

/** True when a salvage has put a part of the log aside. */
async function holdsBroken(files: Files, directory: string): Promise<boolean> {
  return (await files.list(directory)).some((name) => name.includes(".wal.broken"));
}

function isNeeded({ timeMs, payload }: WalRecord, prunable: Prunable): boolean {
  const record = decodeRecord(payload);
  if (record.kind === "floor") return record.floorMs > prunable.floorMs;
  return timeMs > prunable.claimedUntilMs || record.issuedAtMs > prunable.floorMs;
}

function noValue(): void {
  // Whoever waits looks at the window again; the claimant gets the error itself.
}
