/** Settings of Urabrask, which measures blueprints before the controller may choose them. */
import { flag, integer, text } from "./kinds.ts";

/** Producer, bench, signing and crucible. */
export const URABRASK_SETTINGS = [
  flag("URABRASK_ENABLED", false, "Measures blueprints in the background"),
  integer("URABRASK_PRODUCER_INTERVAL_S", 300, [1, 86_400], "Pause between measurements"),
  integer("URABRASK_TOPN_PER_CYCLE", 5, [1, 1_000], "Blueprints measured per cycle"),
  flag("URABRASK_ONLY_SAFE_TIER", true, "Measures only blueprints of the safe tier"),
  flag("URABRASK_OONA_PUBLISH_ENABLED", false, "Publishes the measurements"),
  integer("URABRASK_TIMEOUT_MS", 200, [1, 600_000], "Time of one measurement"),
  flag("URABRASK_BENCH_ENABLED", false, "Runs the blueprint bench"),
  integer("URABRASK_BENCH_INTERVAL_S", 1_800, [1, 604_800], "Pause between benches"),
  integer("URABRASK_BENCH_TOPN", 3, [1, 1_000], "Blueprints per bench"),
  integer("URABRASK_BENCH_TIMEOUT_MS", 500, [1, 600_000], "Time of one bench"),
  integer("URABRASK_BENCH_MIN_INTERVAL_S", 3_600, [1, 604_800], "Least pause per blueprint"),
  flag("URABRASK_SIGNING_ENABLED", false, "Signs the measurements"),
  text("URABRASK_WAL_PATH", "./var/urza/urabrask_wal.jsonl", "Log of the measurements"),
  text("URABRASK_CRUCIBLE_ARTIFACTS_DIR", "./var/urabrask/crucible", "Folder of crucible runs"),
  integer("URABRASK_CRUCIBLE_ARTIFACTS_KEEP", 5, [1, 10_000], "Crucible runs kept"),
  flag("URABRASK_CRUCIBLE_ALLOW_OOM", false, "Lets a crucible run out of memory"),
  integer("URABRASK_CRUCIBLE_MEMORY_WATERMARK_MB", 64, [1, 1_048_576], "Memory a crucible may use"),
  flag("URABRASK_CRUCIBLE_SIMULATE_OOM", false, "Pretends that memory ran out"),
  flag("URABRASK_CRUCIBLE_GPU_TIMING_ENABLED", false, "Times kernels on the GPU"),
] as const;
