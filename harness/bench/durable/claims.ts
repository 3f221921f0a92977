/**
 * What one claim of a command id costs while the ledger holds 100 to 100,000 of them: every claim
 * goes through the ledger and its log, and as many expire as are made. The files are real but never
 * synced, because a sync takes many times as long as all the rest and would hide any growth.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Files, systemClock, systemFiles } from "esper-runtime";
import { median } from "../../lib/statistics.ts";
import { type Figure, plainRow, type Row } from "../runtime/row.ts";
import { type DurableBench, type DurableBenchOptions, scaled } from "./options.ts";

interface Ledger {
  readonly size: number;
  claim(claim: { commandId: string; issuedAtMs: number; attempt: string }): Promise<string>;
  close(): Promise<void>;
}

/** Not exported by the package: the actor around it is. */
interface LedgerModule {
  readonly NonceLedger: { open(options: Readonly<Record<string, unknown>>): Promise<Ledger> };
}

const MODULE = new URL("../../../actors/ledger/nonce-ledger.js", import.meta.url).href;
const ENTRIES = [100, 1_000, 10_000, 100_000] as const;
const GROUP = 64;
const GROUPS = 400;
/** Claims come this far apart in the ledger's time, so that a life is far longer than its slack. */
const APART_MS = 1_000;
const FLAT_AT_MOST = 1.5;

/** Real files whose syncs return at once. */
function unsynced(files: Files): Files {
  return {
    ...files,
    syncDirectory: async () => {},
    async open(path, mode, permissions) {
      return { ...(await files.open(path, mode, permissions)), sync: async () => {} };
    },
  };
}

class Filled {
  readonly #ledger: Ledger;
  readonly #clock: { ms: number };
  #claims = 0;

  private constructor(ledger: Ledger, clock: { ms: number }) {
    this.#ledger = ledger;
    this.#clock = clock;
  }

  static async open(directory: string, entries: number): Promise<Filled> {
    const { NonceLedger } = (await import(MODULE)) as LedgerModule;
    const clock = { ms: 1_000_000 };
    const ttlMs = entries * APART_MS;
    const ledger = await NonceLedger.open({
      ...{ files: unsynced(systemFiles), directory, runId: "bench", salvage: false },
      ...{ capacity: 2 * entries + GROUP, freshnessMs: ttlMs / 2, ttlMs },
      ...{ clock: { ...systemClock, nowMs: () => clock.ms }, tell: () => {} },
    });
    const filled = new Filled(ledger, clock);
    for (let claims = 0; claims < entries; claims += GROUP) await filled.group();
    return filled;
  }

  get size(): number {
    return this.#ledger.size;
  }

  /** Microseconds of one claim of a group that is made at once; as many expire. */
  async group(): Promise<number> {
    this.#clock.ms += GROUP * APART_MS;
    const issuedAtMs = this.#clock.ms;
    const startedMs = performance.now();
    const claims = Array.from({ length: GROUP }, () => {
      const commandId = `bench/1/${++this.#claims}`;
      return this.#ledger.claim({ commandId, issuedAtMs, attempt: "" });
    });
    const verdicts = await Promise.all(claims);
    const tookMs = performance.now() - startedMs;
    const wrong = verdicts.find((verdict) => verdict !== "fresh");
    if (wrong !== undefined) throw new Error(`a new id is ${wrong}`);
    return (1_000 * tookMs) / GROUP;
  }

  close(): Promise<void> {
    return this.#ledger.close();
  }
}

/** The middle of many groups, in turns over the ledgers, so that noise meets all alike. */
async function costsOf(
  ledgers: readonly Filled[],
  options: DurableBenchOptions,
): Promise<number[][]> {
  const rounds = ledgers.map((): number[] => []);
  for (let round = 0; round < options.rounds; round++) {
    const costs = ledgers.map((): number[] => []);
    for (let group = scaled(GROUPS, options); group > 0; group--) {
      for (const [index, ledger] of ledgers.entries()) costs[index]?.push(await ledger.group());
    }
    for (const [index, values] of costs.entries()) rounds[index]?.push(median(values));
  }
  return rounds;
}

export const claims: DurableBench = {
  name: "claims",
  about: "a claim of a command id while the ledger holds 100 to 100,000",
  async run(options) {
    const directory = mkdtempSync(join(options.directory, "claims-"));
    const ledgers: Filled[] = [];
    try {
      for (const entries of ENTRIES) {
        options.say(`claims: ${entries} entries`);
        ledgers.push(await Filled.open(join(directory, String(entries)), entries));
      }
      const rounds = await costsOf(ledgers, options);
      return rowsOf(ledgers, rounds);
    } finally {
      for (const ledger of ledgers) await ledger.close();
      rmSync(directory, { recursive: true, force: true });
    }
  },
};

function rowsOf(ledgers: readonly Filled[], rounds: readonly number[][]): Row[] {
  const figures = ledgers.map(
    ({ size }, index): Figure => ({
      ...{ name: `${size} entries`, unit: "us", rounds: rounds[index] ?? [] },
    }),
  );
  const middles = figures.map((figure) => median(figure.rounds));
  const [most, least] = [Math.max(...middles), Math.min(...middles)];
  const flat: Figure = { name: "dearest / cheapest", unit: "x", rounds: [most / least] };
  return [
    plainRow("cost of a claim, 100 to 100,000 entries", flat, { atMost: FLAT_AT_MOST }),
    ...figures.map((figure) => plainRow(`a claim with ${figure.name}`, figure, null)),
  ];
}
