/** Leyline enums: wire values are the reference's and never change. */

export const SeedStage = {
  UNKNOWN: 0,
  DORMANT: 1,
  GERMINATED: 2,
  TRAINING: 3,
  BLENDING: 4,
  SHADOWING: 5,
  PROBATIONARY: 6,
  FOSSILIZED: 7,
  CULLED: 8,
  EMBARGOED: 9,
  RESETTING: 10,
  TERMINATED: 11,
} as const;
export type SeedStageName = keyof typeof SeedStage;

export const SeedGate = {
  UNKNOWN: 0,
  G0_SANITY: 1,
  G1_GRADIENT_HEALTH: 2,
  G2_STABILITY: 3,
  G3_INTERFACE: 4,
  G4_SYSTEM_IMPACT: 5,
  G5_RESET: 6,
} as const;
export type SeedGateName = keyof typeof SeedGate;

export const CommandType = {
  UNKNOWN: 0,
  SEED: 1,
  ROLLBACK: 2,
  OPTIMIZER: 3,
  CIRCUIT_BREAKER: 4,
  PAUSE: 5,
  EMERGENCY: 6,
  STRUCTURAL_PRUNING: 7,
} as const;
export type CommandTypeName = keyof typeof CommandType;

export const SeedOperation = {
  UNKNOWN: 0,
  GERMINATE: 1,
  START_TRAINING: 2,
  START_GRAFTING: 3,
  STABILIZE: 4,
  EVALUATE: 5,
  FINE_TUNE: 6,
  FOSSILIZE: 7,
  CULL: 8,
  CANCEL: 9,
} as const;
export type SeedOperationName = keyof typeof SeedOperation;

export const MessagePriority = { UNSPECIFIED: 0, LOW: 1, NORMAL: 2, HIGH: 3, CRITICAL: 4 } as const;
export type MessagePriorityName = keyof typeof MessagePriority;

export const TelemetryLevel = {
  UNSPECIFIED: 0,
  INFO: 1,
  WARNING: 2,
  ERROR: 3,
  CRITICAL: 4,
} as const;

export const FieldReportOutcome = {
  UNSPECIFIED: 0,
  SUCCESS: 1,
  NEUTRAL: 2,
  REGRESSION: 3,
  ABORTED: 4,
} as const;
export type FieldReportOutcomeName = keyof typeof FieldReportOutcome;

export const BlueprintTier = { UNSPECIFIED: 0, SAFE: 1, EXPERIMENTAL: 2, HIGH_RISK: 3 } as const;
export type BlueprintTierName = keyof typeof BlueprintTier;

export const BLEND_MODES = ["CONVEX", "RESIDUAL", "CHANNEL", "CONFIDENCE"] as const;
export type BlendModeName = (typeof BLEND_MODES)[number];
