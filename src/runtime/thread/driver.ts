/** How hosts come to run in threads: real workers, or all in the calling thread. */
import type { LoadedActor } from "./cell-parts.ts";
import type { Connection, Member } from "./connection.ts";
import type { Host } from "./host.ts";
import type { ThreadPolicy } from "./thread-options.ts";
import type { ActorSource, Control, HostSeed, Report } from "./wire.ts";

/** A channel's end as it travels to the host that will use it. */
export type TravellingControl = Exclude<Control, { kind: "link" }>;

export interface ThreadHandle {
  control(control: TravellingControl): void;
  /** Ends the thread at once; resolves when it is gone. The first cause given is told. */
  terminate(cause?: string): Promise<void>;
  /** How long its loop has waited for events, ever. */
  idleMs(): number;
  /** How long its loop has worked, ever. */
  busyMs(): number;
  /** The thread will not end; the process need not stay for it. */
  abandon(): void;
}

export interface ThreadEvents {
  report(report: Report): void;
  /** The thread failed and should be ended; it handles nothing more. */
  failed(): void;
  /** Called once. `code` is the exit code, `cause` what is known of the reason. */
  exited(code: number, cause: string): void;
}

/** An actor placed on a thread, with both ways in which a thread can get its definition. */
export interface PlacedActor extends LoadedActor {
  /** Null when every actor runs in the calling thread. */
  readonly source: ActorSource | null;
}

/** A spawned thread, as it is connected with others. */
export interface Placed extends Member {
  readonly handle: ThreadHandle;
}

/** What is to be started, and with which limits. */
export interface ThreadOrder {
  readonly seed: HostSeed;
  readonly actors: readonly PlacedActor[];
  readonly policy: ThreadPolicy;
}

export interface ThreadDriver {
  /** True when a thread can hang without the calling thread hanging with it. */
  readonly separate: boolean;
  spawn(order: ThreadOrder, events: ThreadEvents): ThreadHandle;
  /** Connects two spawned threads directly: each is told of the other. */
  connect(left: Placed, right: Placed): void;
  /** Connects a spawned thread with the host in the calling thread, whose end is returned. */
  connectHere(here: Member, there: Placed, host: Host): Connection;
  /** Makes the loaded threads that are kept in reserve; at the earliest when all are up. */
  fillSpares(): void;
  /** Loaded threads in reserve. */
  readonly spares: number;
  /** Ends the reserve; nothing is spawned any more. */
  close(): Promise<void>;
}
