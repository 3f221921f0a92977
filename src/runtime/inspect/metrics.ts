/** What a thread measures about itself once a second, beside the depth of its mailboxes. */
import { LANES } from "../../protocols/protocol.ts";
import type { LaneNumber } from "../mailbox.ts";
import type { SourceMeter } from "../telemetry/meter.ts";
import type { Cell } from "../thread/cell.ts";
import type { ThreadBlock } from "../wire/thread-block.ts";

/** Ages of the oldest messages, and the counters of the thread's block. */
export function measureThread(
  meter: Pick<SourceMeter, "gauge" | "total">,
  block: ThreadBlock,
  cells: Iterable<Cell>,
  nowMs: number,
): void {
  for (const { name: actor, mailbox } of cells) {
    for (const [number, lane] of LANES.entries()) {
      const oldestAtMs = mailbox.oldestQueuedAtMs(number as LaneNumber);
      const age = oldestAtMs === null ? 0 : Math.max(0, Math.round(nowMs - oldestAtMs));
      meter.gauge("runtime.mailbox_oldest_ms", age, { actor, lane });
    }
  }
  const { parks, wakes, ringFull } = block.read();
  meter.total("runtime.parks_total", parks, {});
  meter.total("runtime.doorbells_total", wakes, {});
  meter.total("runtime.ring_full_total", ringFull, {});
}
