/** Runs every host in a worker thread of its own: a new one, or a loaded one from the reserve. */
import { EsperError, invariant } from "../../protocols/errors.ts";
import type { Clock } from "../clock.ts";
import { shareRings } from "./connection.ts";
import type { ThreadDriver, ThreadEvents, ThreadHandle, ThreadOrder } from "./driver.ts";
import { connectionOf, type TravellingConnection, withPorts } from "./port-connection.ts";
import { Spares } from "./spares.ts";
import { WorkerHandle } from "./worker-handle.ts";

export interface WorkerOptions {
  readonly clock: Clock;
  /** Loaded threads kept in reserve, for each heap limit. */
  readonly spares: number;
  readonly spareHeapLimitsMb: readonly (number | null)[];
  /** What a spare loads in advance. */
  readonly spareModules: readonly string[];
  /** The reserve is given up for good. */
  readonly onSparesLost: (cause: string) => void;
}

/** @throws {CONFIG_INVALID} when run from TypeScript sources, which a worker cannot load. */
export function createWorkerDriver(options: WorkerOptions): ThreadDriver {
  if (import.meta.url.endsWith(".ts")) {
    const text = "worker threads need the built package; from sources use threads: inline";
    throw new EsperError("CONFIG_INVALID", text, { module: import.meta.url });
  }
  const spares = new Spares<WorkerHandle>({
    clock: options.clock,
    count: options.spares,
    heapLimitsMb: options.spareHeapLimitsMb,
    make: (heapLimitMb, events) => WorkerHandle.spare(options.spareModules, heapLimitMb, events),
    gaveUp: options.onSparesLost,
  });
  return {
    separate: true,
    spawn(order, events) {
      const spare = order.policy.spare ? spares.take(order.policy.heapLimitMb) : null;
      return spare === null ? WorkerHandle.fresh(order, events) : attach(spare, order, events);
    },
    connect(left, right) {
      const [leftEnd, rightEnd] = withPorts(shareRings(left, right));
      link(left.handle, leftEnd);
      link(right.handle, rightEnd);
    },
    connectHere(here, there, host) {
      const [hereEnd, thereEnd] = withPorts(shareRings(here, there));
      link(there.handle, thereEnd);
      return connectionOf(hereEnd, () => host.rung());
    },
    fillSpares: () => spares.fill(),
    get spares() {
      return spares.ready;
    },
    close: () => spares.close(),
  };
}

function attach(spare: WorkerHandle, order: ThreadOrder, events: ThreadEvents): WorkerHandle {
  spare.attach(order, events);
  return spare;
}

function link(to: ThreadHandle, connection: TravellingConnection): void {
  invariant(to instanceof WorkerHandle, "a worker is linked with a worker");
  to.control({ kind: "link", connection }, [connection.bell, connection.parcels]);
}
