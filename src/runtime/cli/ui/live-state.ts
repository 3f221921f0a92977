/** What the live frame knows of the run, gathered from its events. Bounded and free of output. */
import type { SeedStageName } from "../../../protocols/leyline/enums.ts";
import type { SeedState } from "../../../protocols/leyline/state.ts";
import type { RunEvent } from "../../../protocols/run.ts";
import type { ScoreName } from "./lines.ts";

type Progress = Extract<RunEvent, { kind: "progress" }>;
type Epoch = Extract<RunEvent, { kind: "epoch" }>;

/** Epochs kept for the small plots; with more, only every second one is kept. */
const HISTORY_EPOCHS = 512;

/** A seed as the frame shows it. */
export interface LiveSeed {
  readonly seedId: string;
  readonly name: string;
  readonly siteId: string;
  readonly stage: SeedStageName;
  readonly alpha: number;
  readonly parameters: number;
  readonly germinatedAtStep: number;
}

/** Everything the frame shows; changed only by `applyEvent`. */
export interface LiveState {
  scoreName: ScoreName;
  epochs: number;
  hostParameters: number;
  totalParameters: number;
  progress: Progress | null;
  epoch: Epoch | null;
  /** Every `historyStride`-th epoch, and the latest. */
  history: Epoch["point"][];
  historyStride: number;
  readonly seeds: Map<string, LiveSeed>;
  restarts: number;
  /** When training was first seen to move, and how much of it was already done then. */
  since: { readonly atMs: number; readonly share: number } | null;
}

/** The state before anything has been heard of the run. */
export function newLiveState(): LiveState {
  return {
    scoreName: "accuracy",
    epochs: 0,
    hostParameters: 0,
    totalParameters: 0,
    progress: null,
    epoch: null,
    history: [],
    historyStride: 1,
    seeds: new Map(),
    restarts: 0,
    since: null,
  };
}

/** Takes in one event; `nowMs` is monotonic. */
export function applyEvent(state: LiveState, event: RunEvent, nowMs: number): void {
  switch (event.kind) {
    case "started":
      state.scoreName = event.dataset.task === "classification" ? "accuracy" : "R2";
      state.epochs = event.epochs;
      state.hostParameters = event.hostParameters;
      state.totalParameters = event.hostParameters;
      break;
    case "progress":
      state.progress = event;
      state.since ??= { atMs: nowMs, share: shareDone(state) };
      break;
    case "epoch":
      applyEpoch(state, event);
      break;
    case "seed": {
      const { transition } = event;
      const known = state.seeds.get(transition.seedId);
      const germinatedAtStep = known?.germinatedAtStep ?? transition.step;
      const { seedId, siteId, alpha, parameters } = transition;
      const name = transition.blueprintName;
      const stage = transition.to;
      const seed = { seedId, name, siteId, stage, alpha, parameters, germinatedAtStep };
      state.seeds.set(seedId, seed);
      break;
    }
    case "restart":
      state.restarts += 1;
      break;
    default:
      break;
  }
}

/** An epoch's report is complete: it replaces what single moves said before. */
function applyEpoch(state: LiveState, event: Epoch): void {
  state.epoch = event;
  state.totalParameters = event.totalParameters;
  // A trainer that went back to a checkpoint tells the same epochs again.
  const earlier = state.history.filter((point) => point.step < event.point.step);
  if (earlier.length >= HISTORY_EPOCHS) state.historyStride *= 2;
  const kept = earlier.filter((point) => point.epoch % state.historyStride === 0);
  state.history = [...kept, event.point];
  const names = new Map([...state.seeds.values()].map((seed) => [seed.seedId, seed.name]));
  state.seeds.clear();
  for (const seed of event.seeds) {
    state.seeds.set(seed.seedId, fromState(seed, names.get(seed.seedId) ?? seed.blueprintId));
  }
}

function fromState(seed: SeedState, name: string): LiveSeed {
  const { seedId, siteId, stage, alpha, parameters, germinatedAtStep } = seed;
  return { seedId, name, siteId, stage, alpha, parameters, germinatedAtStep };
}

/** Share of the planned epochs that is done, 0 to 1. */
export function shareDone({ progress, epoch, epochs }: LiveState): number {
  if (epochs === 0) return 0;
  const byEpoch = epoch?.point.epoch ?? 0;
  const within =
    progress === null || progress.epochSteps === 0 ? 0 : progress.epochStep / progress.epochSteps;
  const byProgress = progress === null ? 0 : progress.epoch - 1 + within;
  return Math.min(1, Math.max(byEpoch, byProgress) / epochs);
}

/** Seconds left if all planned epochs run at today's pace; null while that is a guess. */
export function secondsLeft(state: LiveState, nowMs: number): number | null {
  if (state.since === null) return null;
  const done = shareDone(state);
  const gained = done - state.since.share;
  const elapsedMs = nowMs - state.since.atMs;
  if (gained < 0.01 || elapsedMs < 1_000) return null;
  return (elapsedMs / 1_000) * ((1 - done) / gained);
}
