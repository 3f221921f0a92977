/** A connection between two real threads: message ports for the bell and for parcels. */
import { MessageChannel, type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import type { Connection, Shared } from "./connection.ts";
import type { Bell } from "./outbound.ts";
import type { Parcel, ParcelPort } from "./parcels.ts";

/** A connection's end as it travels to the thread that will use it. */
export interface TravellingConnection extends Shared {
  readonly bell: MessagePort;
  readonly parcels: MessagePort;
}

/** Adds ports to the two ends of a connection. */
export function withPorts(ends: [Shared, Shared]): [TravellingConnection, TravellingConnection] {
  const bells = new MessageChannel();
  const parcels = new MessageChannel();
  return [
    { ...ends[0], bell: bells.port1, parcels: parcels.port1 },
    { ...ends[1], bell: bells.port2, parcels: parcels.port2 },
  ];
}

/** The end in use in this thread; `rung` is called when the other end rings. */
export function connectionOf(end: TravellingConnection, rung: () => void): Connection {
  return { ...end, bell: bellOf(end.bell, rung), parcels: parcelPortOf(end.parcels) };
}

function bellOf(port: MessagePort, rung: () => void): Bell {
  port.on("message", rung);
  return { ring: () => port.postMessage(0), close: () => port.close() };
}

function parcelPortOf(port: MessagePort): ParcelPort {
  // Reading from a port whose other end is gone crashes the process (seen in Node 20).
  let gone = false;
  port.once("close", () => {
    gone = true;
  });
  return {
    post: (parcel, transfer) => port.postMessage(parcel, [...transfer]),
    take: () => (gone ? undefined : (receiveMessageOnPort(port)?.message as Parcel | undefined)),
    close() {
      gone = true;
      port.close();
    },
  };
}
