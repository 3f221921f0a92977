/** Settings of Tamiyo, the controller that decides when and where the network grows. */
import { BLEND_MODES } from "../../../protocols/leyline/enums.ts";
import { choice, flag, integer, number, text } from "./kinds.ts";

/** Policy, blending, field reports and their log. */
export const TAMIYO_SETTINGS = [
  flag("TAMIYO_CONSERVATIVE_MODE", false, "Holds all growth: the network only trains"),
  number("TAMIYO_STEP_TIMEOUT_MS", 5, [0.1, 60_000], "Time budget of one decision"),
  choice("TAMIYO_BLEND_MODE_DEFAULT", BLEND_MODES, "RESIDUAL", "How a seed joins the network"),
  flag("TAMIYO_WAL_STRICT_VALIDATION", true, "Refuses a damaged log instead of salvaging it"),
  integer("TAMIYO_FIELD_REPORT_RETENTION_HOURS", 24, [1, 8_760], "How long reports are kept"),
  integer("TAMIYO_FIELD_REPORT_MAX_RETRIES", 3, [0, 100], "Attempts to deliver a report"),
  text("TAMIYO_POLICY_DIR", "./var/tamiyo/policies", "Folder of stored policies"),
  flag("TAMIYO_ENABLE_BLEND_MODE_ANN", false, "Lets the policy choose the blend mode"),
  number("TAMIYO_BLEND_CONF_GATE_K", 1, [0, 1_000], "Steepness of the confidence gate"),
  number("TAMIYO_BLEND_CONF_GATE_TAU", 1, [0, 1_000], "Threshold of the confidence gate"),
  number("TAMIYO_BLEND_ALPHA_LO", 0, [0, 1], "Lowest blend share of the confidence gate"),
  number("TAMIYO_BLEND_ALPHA_HI", 1, [0, 1], "Highest blend share of the confidence gate"),
  integer("TAMIYO_BLEND_ALPHA_VEC_MAX", 64, [1, 64], "Longest blend vector"),
  integer("TAMIYO_FR_OBS_WINDOW_EPOCHS", 1, [1, 1_000], "Decisions that judge a command"),
  integer("TAMIYO_FR_RETRY_BACKOFF_MS", 1_000, [1, 3_600_000], "Base of the pauses for retries"),
  number("TAMIYO_FR_RETRY_BACKOFF_MULT", 2, [1, 100], "Growth of the pause between retries"),
  flag("TAMIYO_VERIFY_UPDATES", false, "Verifies the signature of policy updates"),
  integer("TAMIYO_UPDATE_FRESHNESS_SEC", 0, [0, 31_536_000], "Oldest policy update; 0 is any"),
  text("TAMIYO_DEVICE", null, "Device of the policy network"),
  flag("TAMIYO_ENABLE_COMPILE", null, "Compiles the policy network"),
  flag("TAMIYO_STRICT_COMMAND_IDS", true, "Refuses commands without an id"),
  integer("TAMIYO_CPU_THREADS", 1, [1, 256], "Threads of the policy network"),
] as const;
