/**
 * How long the entries of each lane wait, how many may wait, and when they are given up. Lanes
 * have rooms of their own: a flood of bulk leaves the room of emergencies untouched.
 */
import type { Lane } from "../../protocols/protocol.ts";

/** The rules of one lane. */
export interface LanePolicy {
  /** How much may wait; a full lane refuses, or gives up what has waited longest. */
  readonly recordsMax: number;
  readonly bytesMax: number;
  readonly whenFull: "refuse" | "drop-oldest";
  /** Failed deliveries after which an entry is given up; null: never. */
  readonly retriesMax: number | null;
  /** The pause after failure n is `backoffMs` x `backoffFactor`^n, at most `backoffMaxMs`. */
  readonly backoffMs: number;
  readonly backoffFactor: number;
  readonly backoffMaxMs: number;
  /** An entry that was handed out and not answered for is handed out again after this time. */
  readonly answerMs: number;
  /** Entries older than this are given up; null: never. */
  readonly expiresMs: number | null;
}

const MIB = 1_048_576;

const URGENT: LanePolicy = {
  recordsMax: 4_096,
  bytesMax: 8 * MIB,
  whenFull: "refuse",
  retriesMax: null,
  backoffMs: 100,
  backoffFactor: 2,
  backoffMaxMs: 5_000,
  answerMs: 5_000,
  expiresMs: null,
};

/** What a lane has unless it is told otherwise: only bulk gives up. */
export const DEFAULT_LANES: Readonly<Record<Lane, LanePolicy>> = {
  system: URGENT,
  emergency: URGENT,
  control: {
    ...URGENT,
    ...{ recordsMax: 16_384, bytesMax: 16 * MIB, answerMs: 10_000 },
    ...{ backoffMs: 1_000, backoffMaxMs: 30_000 },
  },
  bulk: {
    ...{ recordsMax: 16_384, bytesMax: 16 * MIB, whenFull: "refuse", retriesMax: 3 },
    ...{ backoffMs: 1_000, backoffFactor: 2, backoffMaxMs: 60_000, answerMs: 10_000 },
    expiresMs: null,
  },
};

/** What a lane does differently; what is undefined stays as it is. */
export type LanePolicyChanges = { readonly [K in keyof LanePolicy]?: LanePolicy[K] | undefined };

/** Changes by lane. */
export type LaneChanges = { readonly [L in Lane]?: LanePolicyChanges | undefined };

function policyOf(lane: Lane, changes: LanePolicyChanges = {}): LanePolicy {
  const said = Object.entries(changes).filter(([, value]) => value !== undefined);
  return { ...DEFAULT_LANES[lane], ...Object.fromEntries(said) };
}

/** The rules of every lane, with what is said differently. */
export function lanePolicies(changes: LaneChanges = {}): Readonly<Record<Lane, LanePolicy>> {
  return {
    system: policyOf("system", changes.system),
    emergency: policyOf("emergency", changes.emergency),
    control: policyOf("control", changes.control),
    bulk: policyOf("bulk", changes.bulk),
  };
}

/** The pause after this many failures, bounded. */
export function retryDelayMs(policy: LanePolicy, failures: number): number {
  const { backoffMs, backoffFactor, backoffMaxMs } = policy;
  return Math.min(backoffMaxMs, backoffMs * backoffFactor ** failures);
}
