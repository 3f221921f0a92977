/** How hosts come to run in threads: real workers, or all in the calling thread. */
import type { LoadedActor } from "./cell-parts.ts";
import type { ActorSource, Control, HostSeed, MailPort, Report } from "./wire.ts";

/** A channel's end as it travels to the host that will use it. */
export type TravellingControl = Exclude<Control, { kind: "link" }>;

export interface ThreadHandle {
  control(control: TravellingControl): void;
  /** Ends the thread at once; resolves when it is gone. */
  terminate(): Promise<void>;
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

export interface Neighbour {
  readonly thread: string;
  readonly epoch: number;
  readonly credits: SharedArrayBuffer;
}

export interface ThreadDriver {
  spawn(seed: HostSeed, actors: readonly PlacedActor[], events: ThreadEvents): ThreadHandle;
  /** Connects two spawned threads directly: each is told of the other. */
  connect(
    left: Neighbour & { readonly handle: ThreadHandle },
    right: Neighbour & { readonly handle: ThreadHandle },
  ): void;
  /** Connects a spawned thread with the host in the calling thread, whose end is returned. */
  connectHere(here: Neighbour, there: Neighbour & { readonly handle: ThreadHandle }): MailPort;
}
