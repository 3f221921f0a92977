/** The public API: everything importable as "esper-runtime". */
export { kasmina } from "./actors/kasmina/seed-manager.actor.ts";
export { nonceLedger } from "./actors/ledger/nonce-ledger.actor.ts";
export { nissa } from "./actors/nissa/nissa.actor.ts";
export { tamiyo } from "./actors/tamiyo/evaluator.actor.ts";
export { tolaria } from "./actors/tolaria/epoch-runner.actor.ts";
export { urza } from "./actors/urza/urza.actor.ts";
export { walWriter } from "./actors/wal/wal-writer.actor.ts";
export { weatherlight } from "./actors/weatherlight/root.actor.ts";
export {
  dehydrate,
  ERROR_CATALOGUE,
  type ErrorCode,
  EsperError,
  InvariantViolation,
  invariant,
  rehydrate,
} from "./protocols/errors.ts";
export { call, cast, LANES, type Lane, type Protocol, protocol } from "./protocols/protocol.ts";
export type { RunEvent, RunObserver, RunRequest, RunSummary } from "./protocols/run.ts";
export {
  type ActorContext,
  type ActorDefinition,
  type ActorRef,
  type CallOptions,
  defineActor,
  resourceKey,
} from "./runtime/actor.ts";
export { type Clock, sleep, systemClock } from "./runtime/clock.ts";
export { loadDataset } from "./runtime/data/load.ts";
export { type Engine, openEngine } from "./runtime/device/engine.ts";
export { hostSpec } from "./runtime/device/hosts.ts";
export { GrowableNetwork } from "./runtime/device/network.ts";
export { type Files, systemFiles } from "./runtime/durable/files.ts";
export { createRandom, type Random } from "./runtime/random.ts";
export { ActorSystem } from "./runtime/thread/system.ts";
export { CancellationToken } from "./runtime/token.ts";
export {
  type ActorSpec,
  actor,
  defineConfig,
  type EsperConfig,
  type RunEnvironment,
  type SupervisorSpec,
  supervisor,
  type TopologySpec,
} from "./runtime/topology.ts";
