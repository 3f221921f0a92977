/** The public API: everything importable as "esper-runtime". */
export { kasmina } from "./actors/kasmina/seed-manager.actor.ts";
export { nonceLedger } from "./actors/ledger/nonce-ledger.actor.ts";
export { nissa } from "./actors/nissa/nissa.actor.ts";
export { tamiyo } from "./actors/tamiyo/evaluator.actor.ts";
export { fieldReports } from "./actors/tamiyo/field-reports/field-reports.actor.ts";
export { tolaria } from "./actors/tolaria/epoch-runner.actor.ts";
export { urza } from "./actors/urza/urza.actor.ts";
export { walWriter } from "./actors/wal/wal-writer.actor.ts";
export { weatherlight } from "./actors/weatherlight/root.actor.ts";
export {
  type AbandonedRecord,
  type ClaimVerdict,
  type DeliveryFailure,
  type FieldReportStatus,
  FieldReportsProtocol,
  LedgerProtocol,
  type LedgerStatus,
  type MetricRow,
  NissaProtocol,
  type OutboxLaneStatus,
  type OutgoingRecord,
  type ReportReceipt,
  ReportReceiverProtocol,
  type TelemetryBatch,
  type TelemetrySummary,
  type WalEntry,
  type WalNote,
  WalProtocol,
  type WalReport,
} from "./protocols/actors/durable.ts";
export type { GateResult, SeedTransition, TrainingState } from "./protocols/actors/growth.ts";
export type {
  BuiltinDataset,
  ColumnEncoding,
  DataReport,
  Dataset,
  DatasetRequest,
  InputEncoding,
  Samples,
  TargetEncoding,
  Task,
} from "./protocols/dataset.ts";
export {
  dehydrate,
  ERROR_CATALOGUE,
  type ErrorCode,
  type ErrorDetails,
  type ErrorRow,
  EsperError,
  InvariantViolation,
  invariant,
  rehydrate,
  type TelemetryLevelName,
  type WireError,
} from "./protocols/errors.ts";
export {
  actorRef,
  anything,
  bool,
  borrowed,
  bytes,
  type Field,
  type FieldKind,
  type FieldMap,
  type Fields,
  f32,
  f64,
  fields,
  i32,
  type OptionalField,
  optional,
  type ProtocolLike,
  type RefTo,
  type Sendable,
  type ShapeOf,
  text,
  u32,
  type Wire,
} from "./protocols/fields.ts";
export type {
  Activation,
  HostSpec,
  LayerSpec,
  ModuleSpec,
  WeightInit,
} from "./protocols/leyline/modules.ts";
export type {
  EpochPoint,
  SeedState,
  SiteInfo,
} from "./protocols/leyline/state.ts";
export type {
  Attributes,
  MetricKind,
  MetricPoint,
  TelemetryEvent,
} from "./protocols/leyline/telemetry.ts";
export {
  type CallName,
  type CallSpec,
  type CastName,
  type CastSpec,
  call,
  cast,
  LANES,
  type Lane,
  type LaneOption,
  type MessageMap,
  type PayloadOf,
  type Protocol,
  protocol,
  type ReplyOf,
  type RequestOf,
} from "./protocols/protocol.ts";
export type {
  FaultRequest,
  HostRequest,
  RunEvent,
  RunObserver,
  RunRequest,
  RunSummary,
} from "./protocols/run.ts";
export {
  type ActorContext,
  type ActorDefinition,
  type ActorDown,
  type ActorRef,
  type AnyActorDefinition,
  type CallInfo,
  type CallOptions,
  type ChildPolicy,
  DEFAULT_CHILD_POLICY,
  DEFAULT_MAILBOX,
  type DefinitionOptions,
  type DownReason,
  defineActor,
  type Handlers,
  type Logger,
  type MailboxPolicy,
  type Meter,
  type OfferOptions,
  type OpenAnswer,
  type Overflow,
  type ResourceKey,
  type RestartKind,
  resourceKey,
  type SpawnConfig,
  type SpawnOptions,
  type Topic,
  topic,
  type WatchOptions,
} from "./runtime/actor.ts";
export { type Clock, sleep, systemClock, type Timer } from "./runtime/clock.ts";
export { loadDataset } from "./runtime/data/load.ts";
export type { FileReader, LoadOptions } from "./runtime/data/source.ts";
export { type Engine, type EngineOptions, openEngine } from "./runtime/device/engine.ts";
export type { EngineMemory, HostMemory, Shape } from "./runtime/device/engine-types.ts";
export type { Evaluation } from "./runtime/device/evaluation.ts";
export type { GraftRecord } from "./runtime/device/graft.ts";
export { hostSpec } from "./runtime/device/hosts.ts";
export {
  type EvaluateOptions,
  type GraftOptions,
  GrowableNetwork,
  type NetworkOptions,
} from "./runtime/device/network.ts";
export type { OptimizerOptions } from "./runtime/device/optimizer.ts";
export type { NetworkSnapshot } from "./runtime/device/snapshot.ts";
export type { Batch, ShadowResult, StepResult } from "./runtime/device/training-step.ts";
export type { Disk, DiskHandle, DiskStat, EntryKind } from "./runtime/durable/disk.ts";
export {
  type FileStat,
  type Files,
  filesOn,
  type OpenFile,
  type OpenMode,
  systemFiles,
} from "./runtime/durable/files.ts";
export type { LogId } from "./runtime/durable/frame.ts";
export {
  type CompactionResult,
  Wal,
  type WalOptions,
  type WalRecord,
  type WalStatus,
} from "./runtime/durable/wal.ts";
export type { NewRecord, QueueStatus } from "./runtime/durable/wal-queue.ts";
export type { Salvage } from "./runtime/durable/wal-recovery.ts";
export type { Fault, FaultKind, FaultTiming } from "./runtime/faults/fault.ts";
export type { InjectedFault, Strike } from "./runtime/faults/fault-desk.ts";
export type { DependencyContext, DependencyGuard } from "./runtime/guard.ts";
export type { Span } from "./runtime/inspect/call-watch.ts";
export type {
  ActorSnapshot,
  CurrentSnapshot,
  DeadLetterSnapshot,
  DeadLettersSnapshot,
  FailuresSnapshot,
  LaneSnapshot,
  MailboxSnapshot,
  MemorySnapshot,
  PoolSnapshot,
  ProcessSnapshot,
  RingSnapshot,
  SpawnedSnapshot,
  SupervisorSnapshot,
  SystemSnapshot,
  ThreadSnapshot,
  ThreadStateName,
  TreeSnapshot,
} from "./runtime/inspect/snapshot.ts";
export type { PoolAccount } from "./runtime/pool/account.ts";
export {
  defineJobs,
  type InputOf,
  type JobContext,
  type JobFunction,
  type JobMap,
  type JobsDefinition,
  type ResultOf,
} from "./runtime/pool/jobs.ts";
export { type JobOptions, openPool, type Pool } from "./runtime/pool/pool.ts";
export type { PoolOptions } from "./runtime/pool/settings.ts";
export type { PoolStatistics, Summary as DurationSummary } from "./runtime/pool/statistics.ts";
export { createRandom, type Random, type RandomState } from "./runtime/random.ts";
export {
  consistentHash,
  type HashOptions,
  leastMailbox,
  type RoutedMessage,
  roundRobin,
} from "./runtime/router.ts";
export type { ActorState } from "./runtime/supervision.ts";
export { ActorSystem, type SystemOptions } from "./runtime/thread/system.ts";
export {
  type ForeignContext,
  parseTraceparent,
  type TraceContext,
  type TracingOptions,
  traceparentOf,
} from "./runtime/thread/trace.ts";
export type {
  ActorStatus,
  DeadLetter,
  DeadLetterReason,
  LogLevel,
  LogRecord,
  SystemEnd,
  SystemEvent,
} from "./runtime/thread/types.ts";
export { CancellationToken, type TokenOptions } from "./runtime/token.ts";
export type { CancelReason, TokenHandle } from "./runtime/token-table.ts";
export {
  type ActorSpec,
  actor,
  defineConfig,
  type EsperConfig,
  type Placement,
  type RunEnvironment,
  type Strategy,
  type SupervisorSpec,
  supervisor,
  type ThreadOptions,
  type TopologySpec,
} from "./runtime/topology.ts";
