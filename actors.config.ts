/** Who is supervised by whom, on which thread, with which limits. Started left to right. */
import {
  actor,
  defineConfig,
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
      }),
    }),
  },
});

/** All three wait on the disk, so they wait together on one thread. */
const durable = supervisor({
  children: {
    wal: actor(walWriter, {
      thread: "durable",
      config: (run) => ({
        directory: `${run.directory}/wal`,
        strict: run.settings["TAMIYO_WAL_STRICT_VALIDATION"] && !run.salvage,
        retentionHours: run.settings["TAMIYO_FIELD_REPORT_RETENTION_HOURS"],
      }),
    }),
    ledger: actor(nonceLedger, {
      thread: "durable",
      config: (run) => ({
        directory: `${run.directory}/ledger`,
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
