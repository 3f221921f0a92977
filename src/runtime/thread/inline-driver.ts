/** Runs every host in the calling thread. A terminated host is cut off: nothing of it is heard. */
import { invariant } from "../../protocols/errors.ts";
import type { Clock } from "../clock.ts";
import type { Neighbour, PlacedActor, ThreadDriver, ThreadEvents, ThreadHandle } from "./driver.ts";
import { Host } from "./host.ts";
import { createInlineChannel } from "./inline-link.ts";
import type { Control, HostSeed } from "./wire.ts";

class InlineHandle implements ThreadHandle {
  readonly #host: Host;
  readonly #events: ThreadEvents;
  #alive = true;

  constructor(seed: HostSeed, actors: readonly PlacedActor[], events: ThreadEvents, clock: Clock) {
    this.#events = events;
    const report: ThreadEvents["report"] = (message) => {
      if (this.#alive) events.report(message);
    };
    this.#host = new Host({ seed, actors, clock, report });
    void Promise.resolve().then(() => report({ kind: "ready" }));
  }

  control(control: Control): void {
    if (this.#alive) this.#host.control(control);
  }

  async terminate(): Promise<void> {
    if (!this.#alive) return;
    this.#alive = false;
    this.#host.close();
    await Promise.resolve();
    this.#events.exited(1, "terminated");
  }
}

export function createInlineDriver(clock: Clock, clone: boolean): ThreadDriver {
  function link(to: ThreadHandle, { thread, epoch, credits }: Neighbour, port: Link): void {
    invariant(to instanceof InlineHandle, "an inline thread is linked with an inline thread");
    to.control({ kind: "link", thread, epoch, credits, port });
  }
  type Link = ReturnType<typeof createInlineChannel>[0];
  return {
    spawn: (seed, actors, events) => new InlineHandle(seed, actors, events, clock),
    connect(left, right) {
      const [leftPort, rightPort] = createInlineChannel(clone);
      link(left.handle, right, leftPort);
      link(right.handle, left, rightPort);
    },
    connectHere(here, there) {
      const [herePort, therePort] = createInlineChannel(clone);
      link(there.handle, here, therePort);
      return herePort;
    },
  };
}
