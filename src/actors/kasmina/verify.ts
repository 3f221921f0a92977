/**
 * Is this command authentic, whole and meant for this run? Checks what needs no memory; whether it
 * is fresh and new is the ledger's to say, and is asked only after these have passed.
 */
import type { ClaimVerdict } from "../../protocols/actors/durable.ts";
import type { RunIdentity } from "../../protocols/actors/growth.ts";
import { type ErrorCode, EsperError } from "../../protocols/errors.ts";
import { decodeCommand } from "../../protocols/leyline/codec.ts";
import type { AdaptationCommand, SignedCommand } from "../../protocols/leyline/command.ts";
import { parseCommandId } from "../../protocols/leyline/command-id.ts";
import { signatureMatches } from "../../protocols/leyline/signing.ts";

/**
 * The command inside `signed`.
 * @throws {COMMAND_UNSIGNED} @throws {COMMAND_FORGED} @throws {COMMAND_MISSING_ID}
 * @throws {COMMAND_INVALID} for another run's command @throws {COMMAND_STALE} for one of an earlier
 * incarnation of this run; and the codec's own errors.
 */
export function openCommand(
  signed: SignedCommand,
  secret: string,
  identity: Pick<RunIdentity, "runId" | "incarnation">,
): AdaptationCommand {
  if (signed.signature === "") {
    throw new EsperError("COMMAND_UNSIGNED", "the command carries no signature");
  }
  if (!signatureMatches(secret, signed)) {
    throw new EsperError("COMMAND_FORGED", "the signature does not match the command's bytes");
  }
  const command = decodeCommand(signed.frame);
  if (command.commandId === "") {
    throw new EsperError("COMMAND_MISSING_ID", "the command has no id");
  }
  requireOwn(command, identity);
  return command;
}

/** A command is made for one incarnation: after a rewind it speaks of a network that is gone. */
function requireOwn(
  { commandId, audience }: AdaptationCommand,
  { runId, incarnation }: Pick<RunIdentity, "runId" | "incarnation">,
): void {
  const named = parseCommandId(commandId);
  if (audience !== runId || named?.runId !== runId) {
    throw new EsperError(
      "COMMAND_INVALID",
      `command ${commandId} is meant for run ${audience}, this is run ${runId}`,
      { commandId, audience, runId },
    );
  }
  if (named.incarnation === incarnation) return;
  throw new EsperError(
    "COMMAND_STALE",
    `command ${commandId} was made for incarnation ${named.incarnation}, this is ${incarnation}`,
    { commandId, expected: incarnation, found: named.incarnation },
  );
}

const REFUSALS: Readonly<Record<Exclude<ClaimVerdict, "fresh">, ErrorCode>> = {
  replayed: "COMMAND_REPLAYED",
  stale: "COMMAND_STALE",
  future: "COMMAND_FUTURE",
};

/** @throws {COMMAND_REPLAYED} @throws {COMMAND_STALE} @throws {COMMAND_FUTURE} */
export function requireFresh(command: AdaptationCommand, verdict: ClaimVerdict): void {
  if (verdict === "fresh") return;
  const code = REFUSALS[verdict];
  throw new EsperError(code, `command ${command.commandId} is ${verdict}`, {
    commandId: command.commandId,
    issuedAtMs: command.issuedAtMs,
  });
}

/** The reference's reason strings for `command_rejected` and `rejections_total{reason}`. */
export function rejectionReason(error: unknown): string {
  const reasons: Partial<Record<ErrorCode, string>> = {
    COMMAND_UNSIGNED: "missing_signature",
    COMMAND_FORGED: "invalid_signature",
    COMMAND_MISSING_ID: "missing_command_id",
    COMMAND_REPLAYED: "nonce_replayed",
    COMMAND_FUTURE: "issued_in_future",
    COMMAND_STALE: "stale_command",
    LEDGER_FULL: "nonce_ledger_full",
  };
  return EsperError.is(error) ? (reasons[error.code] ?? error.code.toLowerCase()) : "error";
}
