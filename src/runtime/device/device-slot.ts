/** What the actors of the device thread share: the engine and the network on it. */
import type { Samples } from "../../protocols/dataset.ts";
import { resourceKey } from "../actor.ts";
import type { Engine } from "./engine-types.ts";
import type { GrowableNetwork } from "./network.ts";

/** Filled by the trainer; read by whoever grows the network. Only one thread holds one. */
export interface DeviceSlot {
  engine: Engine;
  network: GrowableNetwork | null;
  validation: Samples | null;
}

/** The device thread's one slot; get it with `ctx.resource`. */
export const deviceSlot = resourceKey<DeviceSlot>("device");
