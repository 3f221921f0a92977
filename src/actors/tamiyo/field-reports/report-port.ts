/**
 * Where field reports go: whoever takes them answers for each one. Nothing here pretends to: as
 * long as nobody is connected, reports wait.
 */
import type { ReportReceipt, ReportReceiverProtocol } from "../../../protocols/actors/durable.ts";
import { EsperError } from "../../../protocols/errors.ts";
import type { RefTo } from "../../../protocols/fields.ts";

/** A report on its way. */
export interface OutgoingReport {
  readonly reportId: string;
  readonly timeMs: number;
  /** Encoded. */
  readonly report: Uint8Array;
}

/** Takes reports; a rejection counts as a failed delivery. */
export interface ReportPort {
  /** Resolves with `acknowledged: true` only once the report is safe on the other side. */
  publish(report: OutgoingReport): Promise<ReportReceipt>;
}

type Receiver = RefTo<(typeof ReportReceiverProtocol)["messages"]>;

/** The port that an actor of the receiver protocol is. */
export function receiverPort(receiver: Receiver, deadlineMs: number): ReportPort {
  return {
    async publish({ reportId, timeMs, report }) {
      const message = { reportId, timeMs, report };
      const { receipt } = await receiver.call("publish", message, { deadlineMs });
      return receipt;
    },
  };
}

/** Publishes and turns whatever goes wrong into a receipt. */
export async function tryPublish(port: ReportPort, report: OutgoingReport): Promise<ReportReceipt> {
  try {
    return await port.publish(report);
  } catch (error) {
    if (!EsperError.is(error)) throw error;
    return { acknowledged: false, why: `${error.code}: ${error.message}` };
  }
}
