/** `doctor` on a real disk: what it finds, what it leaves behind, and how it fails. */
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import { type Check, nodeCheck } from "../../../src/runtime/cli/commands/doctor.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { systemFiles } from "../../../src/runtime/durable/files.ts";
import { type } from "./console.ts";

let folder = "";

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "esper-doctor-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function doctor(overrides: Parameters<typeof type>[1] = {}, runs = folder) {
  const argv = ["doctor", "--json", "--runs", runs];
  const outcome = await type(argv, { files: systemFiles, ...overrides });
  const told = JSON.parse(outcome.stdout) as { ok: boolean; checks: Check[] };
  const check = (name: string) => told.checks.find((each) => each.name === name);
  return { ...outcome, ok: told.ok, check, names: told.checks.map(({ name }) => name) };
}

describe("doctor", () => {
  test("tries everything, and leaves no file behind", async () => {
    const { code, ok, check, names } = await doctor();
    expect(names).toEqual([
      "node",
      "cores",
      "memory",
      "settings",
      "configuration",
      "engine wasm",
      "disk",
    ]);
    expect({ ok, code }).toEqual({ ok: true, code: 0 });
    expect(check("engine wasm")?.found).toBe("wasm opened");
    expect(check("disk")?.found).toContain(`${folder}: slowest of 5 syncs`);
    expect(await readdir(folder)).toEqual([]);
  });

  test("measures the nearest folder that exists when there are no runs yet", async () => {
    const { check } = await doctor({}, join(folder, "not", "there"));
    expect(check("disk")?.found).toContain(`${folder}: slowest`);
    expect(await readdir(folder)).toEqual([]);
  });

  test("fails with exit code 3 when the engine cannot be opened, and says what helps", async () => {
    const missing = new EsperError("DEPENDENCY_MISSING", "install the engine");
    const { code, ok, check } = await doctor({ probeEngine: () => Promise.reject(missing) });
    expect({ ok, code }).toEqual({ ok: false, code: 3 });
    expect(check("engine wasm")).toMatchObject({ state: "failed", remedy: "install the engine" });
  });

  test("tells a bad setting and goes on", async () => {
    const { code, check } = await doctor({ environment: { ESP_LOG_LEVEL: "LOUD" } });
    expect(code).toBe(3);
    expect(check("settings")?.remedy).toContain("ESP_LOG_LEVEL");
    expect(check("disk")?.state).toBe("ok");
  });

  test("without a configuration leaves out what depends on it", async () => {
    const broken = new EsperError("CONFIG_INVALID", "broken");
    const { code, names } = await doctor({ loadConfig: () => Promise.reject(broken) });
    expect(code).toBe(3);
    expect(names).not.toContain("disk");
  });

  test("calls a slow disk slow, which is no failure", async () => {
    let nowMs = 0;
    const clock = {
      ...systemClock,
      monotonicMs: () => {
        nowMs += 150;
        return nowMs;
      },
    };
    const { code, check } = await doctor({ clock });
    expect(code).toBe(0);
    expect(check("disk")).toMatchObject({ state: "slow", remedy: "put --runs on a faster disk" });
  });

  test("a folder of runs that is a file fails", async () => {
    const file = join(folder, "file");
    await writeFile(file, "");
    const { code, check } = await doctor({}, file);
    expect(code).toBe(3);
    expect(check("disk")?.remedy).toBe(`${file} is a file; needed: a folder`);
  });

  test("for people is a table with a verdict", async () => {
    const outcome = await type(["doctor", "--runs", folder], { files: systemFiles });
    expect(outcome.stdout).toMatch(/^node +ok +\d+\.\d+\.\d+\n/);
    expect(outcome.stdout).toMatch(/\nready to train\n$/);
  });
});

test.each([
  ["18.20.0", "failed"],
  ["20.0.0", "ok"],
  ["22.3.1", "ok"],
])("node %s is %s", (version, state) => {
  expect(nodeCheck(version).state).toBe(state);
});
