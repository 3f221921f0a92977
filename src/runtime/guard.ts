/**
 * The one dependency guard of all subsystems: a missing id, entry, secret or device is refused,
 * and the refusal is always seen. Telemetry: CRITICAL `dependency_guard.violation` and the counter
 * `dependency_guard.violations_total{subsystem,type}`.
 */
import { EsperError, type TelemetryLevelName } from "../protocols/errors.ts";
import type { Attributes } from "../protocols/leyline/telemetry.ts";

/** Who needs what. */
export interface DependencyContext {
  readonly subsystem: string;
  readonly dependencyType: string;
  readonly identifier: string;
  readonly commandId?: string;
}

/** Refuses to go on without something that must be there. */
export interface DependencyGuard {
  /** @throws {DEPENDENCY_VIOLATION} after the event and the counter, unless `condition` holds. */
  ensurePresent(condition: unknown, context: DependencyContext, reason: string): void;
  /** @throws {DEPENDENCY_VIOLATION} `missing <type> <identifier>` when the lookup finds nothing. */
  verifyEntry<T>(lookup: T | null | undefined, context: DependencyContext): T;
}

export interface GuardSinks {
  emit(name: string, level: TelemetryLevelName, attributes: Attributes): void;
  count(name: string, attributes: Attributes): void;
}

export function createGuard(sinks: GuardSinks): DependencyGuard {
  function violate(context: DependencyContext, reason: string): never {
    const { subsystem, dependencyType, identifier, commandId } = context;
    sinks.emit("dependency_guard.violation", "CRITICAL", {
      subsystem,
      dependency_type: dependencyType,
      identifier,
      reason,
      ...(commandId === undefined ? {} : { command_id: commandId }),
    });
    sinks.count("dependency_guard.violations_total", { subsystem, type: dependencyType });
    throw new EsperError("DEPENDENCY_VIOLATION", `${subsystem} dependency violation: ${reason}`, {
      ...context,
      reason,
    });
  }
  return {
    ensurePresent(condition, context, reason) {
      if (!condition) violate(context, reason);
    },
    verifyEntry(lookup, context) {
      if (lookup === null || lookup === undefined) {
        violate(context, `missing ${context.dependencyType} ${context.identifier}`);
      }
      return lookup;
    },
  };
}
