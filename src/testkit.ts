/** The public test kit: everything importable as "esper-runtime/testkit". */
export { type Claim, NonceLedger, type NonceLedgerOptions } from "./actors/ledger/nonce-ledger.ts";
export type { Checkpoint, CheckpointArray } from "./runtime/durable/checkpoint-format.ts";
export type { CheckpointEntry } from "./runtime/durable/checkpoint-index.ts";
export type { Retention } from "./runtime/durable/checkpoint-retention.ts";
export {
  CheckpointStore,
  type SavedCheckpoint,
  type SaveOptions,
  type SkippedCheckpoint,
  type StoredCheckpoint,
} from "./runtime/durable/checkpoint-store.ts";
export { atomicWrite } from "./runtime/durable/files.ts";
export { JsonLines } from "./runtime/durable/json-lines.ts";
export {
  type FailureOutcome,
  type GivenUp,
  type NoteChange,
  Outbox,
  type OutboxOptions,
  type OutboxPut,
  type OutboxStatus,
} from "./runtime/durable/outbox.ts";
export {
  type OutboxLog,
  type OutboxRecord,
  statementsOf,
} from "./runtime/durable/outbox-journal.ts";
export type { LaneStatus, WaitingEntry } from "./runtime/durable/outbox-lane.ts";
export type {
  LaneChanges,
  LanePolicy,
  LanePolicyChanges,
} from "./runtime/durable/outbox-policy.ts";
export type { EntryStatement, LaneTotals, Statement } from "./runtime/durable/outbox-record.ts";
export type {
  DeadLetterEntry,
  Retention as OutboxRetention,
} from "./runtime/durable/outbox-state.ts";
export type { Flush } from "./runtime/durable/wal.ts";
export type { Receipt } from "./runtime/durable/wal-batch.ts";
export {
  type Exploration,
  type ExploreOptions,
  explore,
  type Scenario,
  type SimulatedRun,
  type StartKit,
  simulate,
} from "./runtime/testkit/explore.ts";
export type { Step, StepMatch } from "./runtime/testkit/stepper.ts";
export { TestKit, type TestKitOptions } from "./runtime/testkit/test-kit.ts";
export { Trace, type TracedStep } from "./runtime/testkit/trace.ts";
export { type DueTimer, VirtualClock } from "./runtime/testkit/virtual-clock.ts";
