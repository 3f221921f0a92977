/**
 * What the records of a run's logs say, for people: how many of each kind there are, what still
 * waits to be sent, and each record by itself. Reads only, record by record, up to the first
 * damage; a record that cannot be understood is shown as such and stops nothing.
 */
import { join } from "node:path";
import { EsperError } from "../../protocols/errors.ts";
import { decodeFieldReport } from "../../protocols/leyline/codec.ts";
import { LANES, type Lane } from "../../protocols/protocol.ts";
import type { LogName } from "./backup-layout.ts";
import type { Files } from "./files.ts";
import { damageOf, type RunLogReport, verifyRunLog } from "./log-inspect.ts";
import { lanePolicies } from "./outbox-policy.ts";
import { decodeStatements, type Statement } from "./outbox-record.ts";
import { OutboxState } from "./outbox-state.ts";
import { type LogFlaw, readLog, type WalRecord } from "./wal-verify.ts";

/** One thing that a record says. */
export interface Said {
  readonly kind: string;
  readonly id: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A record and what it says. */
export interface DescribedRecord {
  readonly log: LogName;
  readonly sequence: number;
  readonly timeMs: number;
  readonly bytes: number;
  readonly says: readonly Said[];
}

/** What waits in one lane of the outbox. */
export interface LaneFill {
  readonly lane: Lane;
  readonly records: number;
  readonly capacity: number;
  /** 0 to 1: the fuller of records and bytes. */
  readonly fill: number;
  readonly dead: number;
}

/** A whole log in numbers. */
export interface LogContents {
  readonly name: LogName;
  /** Records and statements by kind. */
  readonly kinds: Readonly<Record<string, number>>;
  /** Only lanes in which something waits or was given up; null for a log without an outbox. */
  readonly lanes: readonly LaneFill[] | null;
}

/** Reads a payload of the nonce ledger, whose format only the ledger knows. */
export type ClaimReader = (payload: Uint8Array) => Said;

/** Remembers nothing of what is settled: only what waits is asked for. */
const RETENTION = { keepMs: 0, keepRecords: 0, keepBytes: 0, deadMax: 4_096 };

function understood(read: () => readonly Said[], payload: Uint8Array): readonly Said[] {
  try {
    return read();
  } catch (error) {
    if (!EsperError.is(error)) throw error;
    const fields = { why: error.message, bytes: payload.byteLength };
    return [{ kind: "unreadable", id: "", fields }];
  }
}

function describeEntry(statement: Extract<Statement, { kind: "entry" }>): Said {
  const { id, lane, subject, payload } = statement;
  const place = { ...(lane === null ? {} : { lane }), ...(subject === "" ? {} : { subject }) };
  try {
    const { reportId, ...report } = decodeFieldReport(payload);
    return { kind: "report", id: reportId, fields: { ...place, ...report } };
  } catch (error) {
    if (!EsperError.is(error)) throw error;
    return { kind: "entry", id, fields: { ...place, bytes: payload.byteLength } };
  }
}

function describeStatement(statement: Statement): Said {
  if (statement.kind === "entry") return describeEntry(statement);
  const { kind, ...fields } = statement;
  if (kind === "note") {
    const { key, bytes } = statement;
    return { kind, id: key, fields: { bytes: bytes?.byteLength ?? null } };
  }
  return { kind, id: "id" in fields ? fields.id : "", fields };
}

function describe(name: LogName, payload: Uint8Array, readClaim: ClaimReader): readonly Said[] {
  const read = (): readonly Said[] =>
    name === "ledger" ? [readClaim(payload)] : decodeStatements(payload).map(describeStatement);
  return understood(read, payload);
}

/** The name under which one thing is counted. */
function kindOf({ kind, fields }: Said): string {
  const outcome = fields["outcome"];
  return typeof outcome === "string" ? `${kind} ${outcome}` : kind;
}

function takeIn(state: OutboxState, { payload, sequence, timeMs }: WalRecord): void {
  try {
    state.apply(decodeStatements(payload), sequence, timeMs);
  } catch (error) {
    if (!EsperError.is(error)) throw error;
  }
}

function fillOf(state: OutboxState): readonly LaneFill[] {
  const policies = lanePolicies();
  return LANES.flatMap((lane) => {
    const { records, bytes } = state.lanes[lane];
    const { recordsMax, bytesMax } = policies[lane];
    const dead = [...state.dead.values()].filter((letter) => letter.lane === lane).length;
    if (records + dead === 0) return [];
    const fill = Math.max(records / recordsMax, bytes / bytesMax);
    return [{ lane, records, capacity: recordsMax, fill, dead }];
  });
}

/** Counts what the records of a log say. */
export async function countContents(
  files: Files,
  directory: string,
  { name }: RunLogReport,
  readClaim: ClaimReader,
): Promise<LogContents> {
  const kinds: Record<string, number> = {};
  const state = name === "ledger" ? null : new OutboxState(lanePolicies(), RETENTION);
  for await (const record of readLog(files, join(directory, name))) {
    if (state !== null) takeIn(state, record);
    for (const said of describe(name, record.payload, readClaim)) {
      const kind = kindOf(said);
      kinds[kind] = (kinds[kind] ?? 0) + 1;
    }
  }
  return { name, kinds, lanes: state === null ? null : fillOf(state) };
}

/** Why no more records of a log were shown. */
export interface RecordsEnd {
  readonly end: "limit" | "damage" | "end";
  readonly log: LogName;
  readonly shown: number;
  /** Only for damage. */
  readonly flaw: LogFlaw | null;
  /** The number of the log's last good record; null when nobody looked that far. */
  readonly lastSequence: number | null;
}

/** At most `limit` records of a log from number `from` on, then why there are no more. */
export async function* describeRecords(
  files: Files,
  directory: string,
  name: LogName,
  wanted: { readonly from: number; readonly limit: number },
  readClaim: ClaimReader,
): AsyncGenerator<DescribedRecord | RecordsEnd, void, void> {
  let shown = 0;
  for await (const record of readLog(files, join(directory, name), wanted.from)) {
    if (shown === wanted.limit) {
      yield { end: "limit", log: name, shown, flaw: null, lastSequence: null };
      return;
    }
    const { sequence, timeMs, payload } = record;
    const says = describe(name, payload, readClaim);
    yield { log: name, sequence, timeMs, bytes: payload.byteLength, says };
    shown++;
  }
  const { flaws, lastSequence } = await verifyRunLog(files, join(directory, name), name, null);
  const [flaw = null] = damageOf([{ flaws }]);
  yield { end: flaw === null ? "end" : "damage", log: name, shown, flaw, lastSequence };
}
