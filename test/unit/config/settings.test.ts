/** The environment settings: defaults, accepted and refused values, unknown names, secrets. */
import { describe, expect, expectTypeOf, test } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import { maskSetting, maskUrlPassword } from "../../../src/runtime/config/mask.ts";
import {
  loadSettings,
  SETTINGS,
  type SettingName,
  usedBy,
} from "../../../src/runtime/config/settings.ts";

function refusal(environment: Record<string, string>): EsperError {
  try {
    loadSettings(environment);
  } catch (error) {
    if (error instanceof EsperError) return error;
    throw error;
  }
  throw new Error("the settings were accepted");
}

describe("defaults", () => {
  test("hold when the environment says nothing", () => {
    const { values, sources } = loadSettings({ PATH: "/bin", HOME: "/root" });
    expect(values).toMatchObject({
      KERNEL_FRESHNESS_WINDOW_MS: 60_000,
      KERNEL_NONCE_CACHE_SIZE: 4_096,
      OONA_EMERGENCY_MAX_PER_MIN: null,
      TAMIYO_WAL_STRICT_VALIDATION: true,
      TAMIYO_STEP_TIMEOUT_MS: 5,
      TAMIYO_BLEND_MODE_DEFAULT: "RESIDUAL",
      TOLARIA_LR_POLICY: null,
      TOLARIA_OPT_REBUILD_FENCE: "epoch",
      URABRASK_CRUCIBLE_MEMORY_WATERMARK_MB: 64,
      ASYNC_WORKER_SHUTDOWN_TIMEOUT_S: 5,
      ESPER_LEYLINE_SECRET: null,
    });
    expect(new Set(Object.values(sources))).toEqual(new Set(["default"]));
    expect(Object.keys(values)).toHaveLength(SETTINGS.length);
  });

  test("are themselves allowed values, and every setting is explained", () => {
    for (const setting of SETTINGS) {
      expect(setting.help, setting.name).not.toBe("");
      expect(setting.allowed, setting.name).not.toBe("");
      if (setting.default === null) continue;
      expect(setting.parse(String(setting.default)), setting.name).toBe(setting.default);
    }
  });

  test("are declared once", () => {
    expect(new Set(SETTINGS.map(({ name }) => name)).size).toBe(SETTINGS.length);
  });

  test("the settings that are read now are these twelve", () => {
    const read = SETTINGS.map(({ name }) => name).filter((name) => usedBy(name) !== null);
    expect(read.sort()).toEqual([
      "ASYNC_WORKER_SHUTDOWN_TIMEOUT_S",
      "ESPER_LEYLINE_SECRET",
      "ESP_LOG_LEVEL",
      "KERNEL_FRESHNESS_WINDOW_MS",
      "KERNEL_NONCE_CACHE_SIZE",
      "TAMIYO_BLEND_MODE_DEFAULT",
      "TAMIYO_CONSERVATIVE_MODE",
      "TAMIYO_FIELD_REPORT_RETENTION_HOURS",
      "TAMIYO_STEP_TIMEOUT_MS",
      "TAMIYO_WAL_STRICT_VALIDATION",
      "TOLARIA_LR_POLICY",
      "TOLARIA_LR_WARMUP_STEPS",
    ]);
  });
});

describe("a value", () => {
  test.each<[SettingName, string, unknown]>([
    ["TAMIYO_CONSERVATIVE_MODE", "true", true],
    ["TAMIYO_CONSERVATIVE_MODE", "1", true],
    ["TAMIYO_CONSERVATIVE_MODE", "ON", true],
    ["TAMIYO_WAL_STRICT_VALIDATION", "no", false],
    ["TAMIYO_STEP_TIMEOUT_MS", "2.5", 2.5],
    ["TAMIYO_STEP_TIMEOUT_MS", "1e2", 100],
    ["KERNEL_NONCE_CACHE_SIZE", "1048576", 1_048_576],
    ["TOLARIA_LR_POLICY", "cosine", "cosine"],
    ["ESP_LOG_LEVEL", "debug", "DEBUG"],
    ["TOLARIA_OPT_REBUILD_FENCE", "n_steps:25", "n_steps:25"],
    ["ESPER_LEYLINE_SECRET", "0123456789abcdef", "0123456789abcdef"],
  ])("%s=%s is read as %j", (name, raw, value) => {
    const { values, sources } = loadSettings({ [name]: raw });
    expect(values[name]).toBe(value);
    expect(sources[name]).toBe("environment");
  });

  test.each<[SettingName, string, string]>([
    ["TAMIYO_CONSERVATIVE_MODE", "maybe", "true or false"],
    ["TAMIYO_CONSERVATIVE_MODE", "", "true or false"],
    ["TAMIYO_CONSERVATIVE_MODE", "constructor", "true or false"],
    ["TAMIYO_STEP_TIMEOUT_MS", "0", "a number from 0.1 to 60000"],
    ["TAMIYO_STEP_TIMEOUT_MS", "5ms", "a number from"],
    ["TAMIYO_STEP_TIMEOUT_MS", "Infinity", "a number from"],
    ["TAMIYO_STEP_TIMEOUT_MS", "0x10", "a number from"],
    ["KERNEL_NONCE_CACHE_SIZE", "63", "a whole number from 64 to 1048576"],
    ["KERNEL_NONCE_CACHE_SIZE", "1048577", "a whole number from 64 to 1048576"],
    ["KERNEL_NONCE_CACHE_SIZE", "4096.5", "a whole number"],
    ["KERNEL_NONCE_CACHE_SIZE", "", "a whole number"],
    ["KERNEL_NONCE_CACHE_SIZE", " ", "a whole number"],
    ["TOLARIA_LR_POLICY", "cosin", "constant, cosine, step; did you mean cosine?"],
    ["TOLARIA_LR_POLICY", "", "constant, cosine, step"],
    ["TAMIYO_BLEND_MODE_DEFAULT", "CONVEXE", "did you mean CONVEX?"],
    ["ESP_LOG_LEVEL", "WARN", "did you mean WARNING?"],
    ["TOLARIA_OPT_REBUILD_FENCE", "n_steps:0", "epoch or n_steps:<n>"],
    ["ASYNC_WORKER_SHUTDOWN_TIMEOUT_S", "10", "from 0.1 to 9"],
    ["REDIS_URL", "  ", "text, not empty"],
  ])("%s=%j is refused", (name, raw, allowed) => {
    const error = refusal({ [name]: raw });
    expect(error.code).toBe("CONFIG_INVALID");
    expect(error.message).toContain(`${name}: given ${JSON.stringify(raw)}; allowed: `);
    expect(error.message).toContain(allowed);
  });

  test("all problems are told at once", () => {
    const error = refusal({ ESP_LOG_LEVEL: "LOUD", TAMIYO_CPU_THREADS: "0", TAMIYO_DEVISE: "gpu" });
    expect(error.code).toBe("CONFIG_INVALID");
    expect(error.details["problems"]).toHaveLength(3);
  });
});

describe("an unknown name", () => {
  test.each([
    ["TAMIYO_CONSERVATIVE_MOD", "did you mean TAMIYO_CONSERVATIVE_MODE?"],
    ["TOLARIA_LR_POLICI", "did you mean TOLARIA_LR_POLICY?"],
    ["KASMINA_STRICT_ISOLATON", "did you mean KASMINA_STRICT_ISOLATION?"],
    ["OONA_NORMAL_STREEM", "did you mean OONA_NORMAL_STREAM?"],
    ["URZA_ARTEFACT_DIR", "did you mean URZA_ARTIFACT_DIR?"],
    ["URABRASK_ENABLE", "did you mean URABRASK_ENABLED?"],
    ["ESPER_LEYLINE_SECRETS", "did you mean ESPER_LEYLINE_SECRET?"],
    ["KERNEL_NONCE_CACHESIZE", "did you mean KERNEL_NONCE_CACHE_SIZE?"],
    ["TEZZERET_ENABLE_COMPILER", "did you mean TEZZERET_ENABLE_COMPILE?"],
    ["ASYNC_WORKER_MAX_CONCURENCY", "did you mean ASYNC_WORKER_MAX_CONCURRENCY?"],
    ["NISSA_PORT", "`config print` lists every setting"],
  ])("%s is refused", (name, hint) => {
    const error = refusal({ [name]: "1" });
    expect(error.code).toBe("CONFIG_UNKNOWN_KEY");
    expect(error.message).toContain(`${name}: no such setting`);
    expect(error.message).toContain(hint);
  });

  test.each(["KERNEL_VERSION", "ASYNC_WORKER_X", "MY_TAMIYO_X", "tamiyo_device", "LR_POLICY"])(
    "%s belongs to somebody else and is left alone",
    (name) => {
      expect(() => loadSettings({ [name]: "1" })).not.toThrow();
    },
  );
});

describe("secrets", () => {
  test("a signing secret that is too short is SECRET_MISSING and is not repeated", () => {
    const error = refusal({ ESPER_LEYLINE_SECRET: "short-secret" });
    expect(error.code).toBe("SECRET_MISSING");
    expect(error.message).not.toContain("short-secret");
  });

  test("a refused secret is told by its length only", () => {
    const error = refusal({ ESPER_LEYLINE_SECRET: "   " });
    expect(error.message).toContain("ESPER_LEYLINE_SECRET: given a value of 3 characters");
  });

  test.each([
    ["redis://me:p@a/ss@host", "redis://me:********@host"],
    ["redis://me:pass@host:1/0", "redis://me:********@host:1/0"],
    ["redis://:pass@host", "redis://:********@host"],
    ["http://host:9091", "http://host:9091"],
    ["http://host/?token=abc&x=1", "http://host/?token=********&x=1"],
    ["plain text", "plain text"],
  ])("%s is shown as %s", (value, shown) => {
    expect(maskUrlPassword(value)).toBe(shown);
  });

  test("only secrets are masked whole", () => {
    const byName = new Map(SETTINGS.map((setting) => [setting.name, setting]));
    expect(maskSetting(byName.get("ESPER_LEYLINE_SECRET")!, "x".repeat(20))).toBe("********");
    expect(maskSetting(byName.get("ESPER_LEYLINE_SECRET")!, null)).toBeNull();
    expect(maskSetting(byName.get("OONA_NORMAL_STREAM")!, "oona.normal")).toBe("oona.normal");
  });
});

test("values are typed by name", () => {
  const { values } = loadSettings({});
  expectTypeOf(values.TAMIYO_STEP_TIMEOUT_MS).toEqualTypeOf<number>();
  expectTypeOf(values.TOLARIA_LR_POLICY).toEqualTypeOf<"constant" | "cosine" | "step" | null>();
  expectTypeOf(values.ESPER_LEYLINE_SECRET).toEqualTypeOf<string | null>();
  expectTypeOf(values.TAMIYO_CONSERVATIVE_MODE).toEqualTypeOf<boolean>();
});
