/** Everything durable that the simulated disk is let loose on; one line adds another. */
import type { Workload } from "./workload.ts";
import { checkpoints } from "./workloads/checkpoints.ts";
import { ledger } from "./workloads/ledger.ts";
import { lines } from "./workloads/lines.ts";
import { log } from "./workloads/log.ts";
import { outbox } from "./workloads/outbox.ts";
import { wholeFile } from "./workloads/whole-file.ts";

export const DURABLE_WORKLOADS: readonly Workload[] = [
  log,
  checkpoints,
  wholeFile,
  lines,
  outbox,
  ledger,
];
