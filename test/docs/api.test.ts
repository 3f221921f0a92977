/** The reference that typedoc writes: everything exported has its sentence, nothing is missing. */
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const LIMIT_MS = 120_000;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "esper-api-"));

interface Reflection {
  readonly name: string;
  readonly children?: readonly Reflection[];
}

let reference: Reflection;

beforeAll(() => {
  const typedoc = path.join(ROOT, "node_modules/typedoc/bin/typedoc");
  const json = path.join(folder, "api.json");
  // Types are checked elsewhere; here only what is said about them.
  const args = [typedoc, "--skipErrorChecking", "--json", json, "--logLevel", "Warn"];
  const result = spawnSync(process.execPath, args, { cwd: ROOT, encoding: "utf8" });
  expect(result.status, result.stdout + result.stderr).toBe(0);
  expect(result.stdout + result.stderr).toBe("");
  reference = JSON.parse(fs.readFileSync(json, "utf8")) as Reflection;
}, LIMIT_MS);

afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

const namesOf = (module: string): string[] =>
  (reference.children ?? []).find(({ name }) => name === module)!.children!.map(({ name }) => name);

it("knows both entries of the package", () => {
  expect(reference.children!.map(({ name }) => name)).toEqual(["index", "testkit"]);
});

it("has what a user of the runtime writes down, types included", () => {
  const needed = [
    ...["defineActor", "protocol", "call", "cast", "fields", "topic", "actor", "supervisor"],
    ...["ActorSystem", "SystemOptions", "SystemEvent", "SystemEnd", "ActorStatus", "LogRecord"],
    ...["ActorContext", "ActorRef", "ActorDefinition", "Handlers", "CallInfo", "CallOptions"],
    ...["SystemSnapshot", "CancellationToken", "CancelReason", "Clock", "systemClock", "Timer"],
    ...["openPool", "Pool", "PoolAccount", "PoolOptions", "defineJobs", "EsperError", "ErrorCode"],
    ...["roundRobin", "leastMailbox", "consistentHash", "InjectedFault", "ThreadOptions"],
  ];
  expect(needed.filter((name) => !namesOf("index").includes(name))).toEqual([]);
  const kit = ["TestKit", "explore", "simulate", "Scenario", "VirtualClock"];
  expect(kit.filter((name) => !namesOf("testkit").includes(name))).toEqual([]);
});

it("is written to a folder that git ignores", () => {
  const options = JSON.parse(fs.readFileSync(path.join(ROOT, "typedoc.json"), "utf8"));
  expect(options).toMatchObject({ treatWarningsAsErrors: true, out: "docs/api" });
  const ignored = execFileSync("git", ["check-ignore", "docs/api/index.html"], { cwd: ROOT });
  expect(ignored.toString().trim()).toBe("docs/api/index.html");
});
