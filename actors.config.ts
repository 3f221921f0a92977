/** Who is supervised by whom, on which thread, with which limits. Started left to right. */
import {
  actor,
  defineConfig,
  fieldReports,
  kasmina,
  nissa,
  nonceLedger,
  type RunEnvironment,
  supervisor,
  type TopologySpec,
  tamiyo,
  tolaria,
  urza,
  walWriter,
  weatherlight,
} from "esper-runtime";

/** The reference's time for which a used command id is remembered. */
const NONCE_TTL_MS = 300_000;

/** Trainer and grower share the tensors, so they share a thread and each other's restarts. */
const device = supervisor({
  strategy: "one_for_all",
  children: {
    kasmina: actor(kasmina, {
      thread: "device",
      config: (run) => ({
        secret: run.secret,
        growth: { enforceGates: run.arm !== "gates-off" },
      }),
    }),
    tolaria: actor(tolaria, {
      thread: "device",
      config: (run) => ({
        engine: run.engine,
        allowSoftwareGpu: run.allowSoftwareGpu,
        lrPolicy: run.settings["TOLARIA_LR_POLICY"] ?? "constant",
        lrWarmupSteps: run.settings["TOLARIA_LR_WARMUP_STEPS"],
        rollback: {
          enabled: run.settings["TOLARIA_ROLLBACK_ENABLED"],
          fastCapMb: run.settings["TOLARIA_ROLLBACK_FAST_CAP_MB"],
          deadlineMs: run.settings["TOLARIA_ROLLBACK_DEADLINE_MS"],
          snapshotSteps: run.settings["TOLARIA_ROLLBACK_SNAPSHOT_STEPS"],
        },
      }),
    }),
  },
});

const HOUR_MS = 3_600_000;

/**
 * Field reports have the bulk lane to themselves. Nobody may take them for a whole run: then the
 * oldest are given up, told and kept in the log, and the run goes on.
 */
const reportLane = ({ settings }: RunEnvironment) => ({
  whenFull: "drop-oldest",
  retriesMax: settings["TAMIYO_FIELD_REPORT_MAX_RETRIES"],
  backoffMs: settings["TAMIYO_FR_RETRY_BACKOFF_MS"],
  backoffFactor: settings["TAMIYO_FR_RETRY_BACKOFF_MULT"],
  backoffMaxMs: HOUR_MS,
  expiresMs: HOUR_MS * Number(settings["TAMIYO_FIELD_REPORT_RETENTION_HOURS"]),
});

/** All of them wait on the disk, so they wait together on one thread. */
const durable = supervisor({
  children: {
    wal: actor(walWriter, {
      thread: "durable",
      config: (run) => ({
        directory: `${run.directory}/wal`,
        runId: run.runId,
        strict: run.settings["TAMIYO_WAL_STRICT_VALIDATION"] && !run.salvage,
        retentionHours: run.settings["TAMIYO_FIELD_REPORT_RETENTION_HOURS"],
        lanes: { bulk: reportLane(run) },
      }),
    }),
    reports: actor(fieldReports, {
      thread: "durable",
      config: (run) => ({ observationWindow: run.settings["TAMIYO_FR_OBS_WINDOW_EPOCHS"] }),
    }),
    ledger: actor(nonceLedger, {
      thread: "durable",
      config: (run) => ({
        directory: `${run.directory}/ledger`,
        runId: run.runId,
        strict: !run.salvage,
        capacity: run.settings["KERNEL_NONCE_CACHE_SIZE"],
        freshnessMs: run.settings["KERNEL_FRESHNESS_WINDOW_MS"],
        ttlMs: Math.max(NONCE_TTL_MS, 2 * Number(run.settings["KERNEL_FRESHNESS_WINDOW_MS"])),
      }),
    }),
    nissa: actor(nissa, {
      thread: "durable",
      config: (run) => ({ directory: run.directory }),
    }),
  },
});

const control = supervisor({
  children: {
    urza: actor(urza, { thread: "control" }),
    tamiyo: actor(tamiyo, {
      thread: "control",
      config: (run: RunEnvironment) => ({
        secret: run.secret,
        stepTimeoutMs: run.settings["TAMIYO_STEP_TIMEOUT_MS"],
        blendMode: run.blendMode,
        policy: {
          conservative: run.settings["TAMIYO_CONSERVATIVE_MODE"],
          arm: run.arm,
        },
      }),
    }),
  },
});

const tree: TopologySpec["tree"] = supervisor({
  strategy: "one_for_one",
  children: {
    weatherlight: actor(weatherlight, {
      thread: "main",
      config: (run) => ({ host: run.host }),
    }),
    durable,
    control,
    device,
  },
});

export default defineConfig({
  defaults: "local-cpu",
  runDirectory: "runs",
  topologies: {
    "local-cpu": {
      description: "One process, TensorFlow.js on WebAssembly, everything on this machine's CPU.",
      engine: "wasm",
      fabric: { kind: "embedded" },
      tree,
    },
    "local-gpu": {
      description: "One process, the network on a GPU (tfjs-node-gpu, else WebGPU).",
      engine: "gpu",
      fabric: { kind: "embedded" },
      tree,
    },
  },
});
