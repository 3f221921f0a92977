/** Settings shared by all subsystems: the message fabric, kernels, compile jobs, observability. */
import { choice, flag, integer, number, text } from "./kinds.ts";

const DAY_MS = 86_400_000;

/** Signing, logging, workers, kernels and the addresses of other services. */
export const SHARED_SETTINGS = [
  text("ESPER_LEYLINE_SECRET", null, "Signs every command; made for the run when not set", {
    secret: true,
    allowed: "text of at least 16 bytes",
  }),
  choice(
    "ESP_LOG_LEVEL",
    ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
    "INFO",
    "Lowest level written to log.jsonl",
  ),
  integer("KERNEL_FRESHNESS_WINDOW_MS", 60_000, [1, DAY_MS], "Oldest signed command accepted"),
  integer("KERNEL_NONCE_CACHE_SIZE", 4_096, [64, 1_048_576], "Commands remembered against replay"),
  integer("ASYNC_WORKER_MAX_CONCURRENCY", 8, [1, 1_024], "Jobs in flight per worker"),
  number(
    "ASYNC_WORKER_SHUTDOWN_TIMEOUT_S",
    5,
    [0.1, 9],
    "Time the actors get to stop; below the 10 s after which the process ends",
  ),
  text("REDIS_URL", "redis://localhost:6379/0", "Message broker of the reference"),
  text("TEZZERET_INDUCTOR_CACHE_DIR", null, "Folder for compiled kernels"),
  flag("TEZZERET_ENABLE_COMPILE", null, "Compiles blueprints ahead of use"),
  text("PROMETHEUS_PUSHGATEWAY", "http://localhost:9091", "Where metrics are pushed"),
  text("ELASTICSEARCH_URL", "http://localhost:9200", "Where events are indexed"),
  text("LEYLINE_SCHEMA_DIR", "./contracts/leyline", "Folder of the message contracts"),
  text("LEYLINE_DEFAULT_NAMESPACE", "esper.leyline.v1", "Namespace of the message contracts"),
  flag("KASMINA_STRICT_ISOLATION", false, "Ends the run when a gradient leaks between seeds"),
  flag("ESPER_RUN_PERF_TESTS", false, "Runs the performance tests"),
  flag("ESPER_RUN_CUDA_TESTS", false, "Runs the tests that need an NVIDIA device"),
  flag("RUN_SOAK_TESTS", false, "Runs the long load tests"),
  flag("RUN_PERF_TESTS", false, "Runs the performance tests"),
  flag("REQUIRE_REDIS", false, "Fails the broker tests instead of skipping them"),
  text("CUBLAS_WORKSPACE_CONFIG", null, "Makes NVIDIA matrix products repeatable"),
] as const;

/** Oona (message fabric gateway) and Urza (blueprint library). */
export const FABRIC_SETTINGS = [
  text("OONA_NORMAL_STREAM", "oona.normal", "Stream of ordinary messages"),
  text("OONA_EMERGENCY_STREAM", "oona.emergency", "Stream of emergency messages"),
  text("OONA_TELEMETRY_STREAM", "oona.telemetry", "Stream of telemetry"),
  text("OONA_POLICY_STREAM", "oona.policy", "Stream of policy updates"),
  integer("OONA_EMERGENCY_MAX_PER_MIN", null, [1, 1_000_000], "Limit of emergency messages"),
  integer("OONA_EMERGENCY_THRESHOLD", null, [1, 1_000_000], "Queue depth that counts as emergency"),
  integer("OONA_MESSAGE_TTL_MS", 900_000, [1, 30 * DAY_MS], "Age at which a message is dropped"),
  text("URZA_DATABASE_URL", "sqlite:///./var/urza/catalog.db", "Catalogue of blueprints"),
  text("URZA_ARTIFACT_DIR", "./var/urza/artifacts", "Folder of compiled blueprints"),
  integer("URZA_CACHE_TTL_SECONDS", null, [1, 31_536_000], "Lifetime of a cached blueprint"),
] as const;
