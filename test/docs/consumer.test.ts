/**
 * The package in the hands of somebody else: what it holds, and projects that use it. README and
 * tutorial say what their programs print; here they are compiled and run as a reader would.
 */
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { programsOf } from "./blocks.ts";
import { type Consumer, newConsumer } from "./consumer.ts";
import { ACTORS, MAIN } from "./strict-project.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const LIMIT_MS = 180_000;
const programs = ["README.md", "docs/runtime.md"].flatMap((file) => programsOf(ROOT + file));
let consumer: Consumer;

beforeAll(async () => {
  consumer = await newConsumer();
  for (const { name, files } of programs) {
    for (const [file, text] of files) consumer.write(`${name}/${file}`, text);
  }
  consumer.write("strict/actors.ts", ACTORS);
  consumer.write("strict/main.ts", MAIN);
  const compiled = await consumer.compile();
  if (compiled.code !== 0) throw new Error(`the projects do not compile:\n${compiled.stdout}`);
}, LIMIT_MS);

afterAll(() => consumer?.remove());

describe("every program of README.md and docs/runtime.md", () => {
  it("is found", () => {
    expect(programs.length).toBeGreaterThan(15);
  });

  it.each(programs.map((program) => [program.name, program] as const))(
    "%s prints what the text says",
    async (name, { prints }) => {
      const { code, stdout, stderr } = await consumer.run(`${name}/main.js`);
      const lines = stdout.split("\n").slice(0, -1);
      expect({ code, stderr, lines }).toEqual({ code: 0, stderr: "", lines: prints });
    },
    LIMIT_MS,
  );
});

describe("the package", () => {
  it("runs in a project that checks types strictly", async () => {
    const ended = await consumer.run("strict/main.js");
    expect(ended).toEqual({ code: 0, stdout: "6 adding up 0\nMESSAGE_UNKNOWN\n", stderr: "" });
  });

  it("has both entries and the program, with types, and nothing else but documents", () => {
    const folder = path.join(consumer.folder, "node_modules/esper-runtime");
    const { exports, bin } = JSON.parse(fs.readFileSync(path.join(folder, "package.json"), "utf8"));
    const targets = [
      ...Object.values(exports).flatMap((entry) => Object.values(entry!)),
      bin.esper,
    ];
    expect(targets).toHaveLength(5);
    for (const target of targets) expect(fs.existsSync(path.join(folder, target))).toBe(true);
    const names = fs.readdirSync(folder).filter((name) => name !== "node_modules");
    const expected = ["CHANGELOG.md", "LICENSE", "README.md", "dist", "docs", "package.json"];
    expect(names.sort()).toEqual(expected);
    expect(fs.existsSync(path.join(folder, "dist/harness.js"))).toBe(false);
    expect(fs.existsSync(path.join(folder, "dist/actors.config.js"))).toBe(true);
  });

  it("a deep import is refused, so that only what is exported can be relied on", async () => {
    consumer.write("deep.js", `await import("esper-runtime/dist/runtime/actor.js");\n`);
    const { code, stderr } = await consumer.run("deep.js");
    expect(code).toBe(1);
    expect(stderr).toContain("ERR_PACKAGE_PATH_NOT_EXPORTED");
  });
});
