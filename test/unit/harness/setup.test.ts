import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { describeBuild, isBuilt } from "../../../harness/setup/build.mjs";
import { SetupFailure } from "../../../harness/setup/failure.mjs";
import { acquireLock } from "../../../harness/setup/lock.mjs";
import { readySetup } from "../../../harness/setup/ready.mjs";
import { createTinyProduct, type TinyProduct, writeFakeNpm } from "./setup-fixture.ts";

const NEVER = new AbortController().signal;
const OPTIONS = { install: true, forTests: false };

let product: TinyProduct;
let said = "";

beforeEach(() => {
  product = createTinyProduct("quick");
  said = "";
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    said += String(text);
    return true;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  product.remove(".");
});

const setUp = (options = OPTIONS): Promise<number> => readySetup(options, NEVER, product.root);

describe("the build", () => {
  const useRealCompiler = (): void => {
    product.remove(".");
    product = createTinyProduct("real");
  };

  it("makes both passes, copies assets, and is silent when nothing changed", async () => {
    useRealCompiler();
    expect(await setUp()).toBe(0);
    expect(product.read("dist/index.js")).toContain("answer = 42");
    expect(product.has("dist/index.d.ts")).toBe(true);
    expect(product.has("dist/harness.js")).toBe(true);
    expect(product.read("dist/page/style.css")).toBe("body {}\n");
    expect(said).toBe("setup: building dist/\n");
    said = "";
    expect(await setUp()).toBe(0);
    expect(said).toBe("");
    // A checkout touches files without changing them: the content decides.
    utimesSync(join(product.root, "src/index.ts"), new Date(), new Date());
    expect(isBuilt(product.root)).toBe(true);
  });

  it("builds again after an edit, a lost output and a compiler run by hand", async () => {
    await setUp();
    product.write("src/index.ts", "export const answer = 43;\n");
    expect(isBuilt(product.root)).toBe(false);
    await setUp();
    expect(product.read("dist/index.js")).toContain("answer = 43");
    product.remove("dist/index.js");
    await setUp();
    expect(product.read("dist/index.js")).toContain("answer = 43");
    product.write("dist/index.js", "export const answer = 'stale';\n");
    expect(isBuilt(product.root)).toBe(false);
  });

  it("removes outputs whose source is gone", async () => {
    product.write("src/old.ts", "export const old = 1;\n");
    await setUp();
    expect(product.has("dist/old.js")).toBe(true);
    product.remove("src/old.ts");
    product.remove("src/page/style.css");
    await setUp();
    for (const rest of ["old.js", "old.d.ts", "page/style.css"]) {
      expect(product.has(`dist/${rest}`), rest).toBe(false);
    }
  });

  it("ends with 1, the compiler's words and the last good build on a wrong source", async () => {
    useRealCompiler();
    await setUp();
    product.write("src/index.ts", "export const answer: number = 'x';\n");
    said = "";
    expect(await setUp()).toBe(1);
    expect(said).toContain("src/index.ts(1,14): error TS2322");
    expect(said).toContain("dist/ keeps the last good build");
    expect(product.read("dist/index.js")).toContain("answer = 42");
    expect(isBuilt(product.root)).toBe(false);
  });

  it("tells tests whether dist/ is missing, outdated or current", async () => {
    expect(describeBuild(product.root).state).toBe("missing");
    await setUp();
    expect(describeBuild(product.root)).toEqual({ state: "current", file: null });
    product.write("src/index.ts", "export const answer = 44;\n");
    const later = new Date(Date.now() + 5_000);
    utimesSync(join(product.root, "src/index.ts"), later, later);
    expect(describeBuild(product.root)).toEqual({ state: "outdated", file: "src/index.ts" });
  });
});

describe("the installation", () => {
  const OFFLINE = "npm error code ENOTFOUND\nnpm error getaddrinfo ENOTFOUND registry";

  it.each([
    [OFFLINE, 1, 3, "registry cannot be reached"],
    ["npm error code EUSAGE\ncan only install packages when in sync", 1, 1, "disagree"],
    ["npm error code EACCES", 243, 3, "exit code 243"],
  ])("that fails with %j tells what to do", async (output, npmCode, exitCode, message) => {
    product.remove("node_modules");
    vi.stubEnv("npm_execpath", writeFakeNpm(product, output, npmCode));
    expect(await setUp()).toBe(exitCode);
    expect(said).toContain(output);
    expect(said).toContain(message);
    expect(product.has("dist/index.js")).toBe(false);
  });

  it("is not started for an installation npm made itself, and remembered", async () => {
    vi.stubEnv("npm_execpath", writeFakeNpm(product, "must not run", 1));
    expect(await setUp()).toBe(0);
    expect(product.has("node_modules/.esper-setup.json")).toBe(true);
  });

  it("is repeated when package-lock.json asks for another version", async () => {
    await setUp();
    const lock = { packages: { "": {}, "node_modules/zod": { version: "4.0.0" } } };
    product.write("package-lock.json", JSON.stringify(lock));
    vi.stubEnv("npm_execpath", writeFakeNpm(product, OFFLINE, 1));
    expect(await setUp()).toBe(3);
    expect(said).toContain("npm ci");
  });

  it("asks for the tools of the tests only when tests are to run", async () => {
    product.write("package.json", '{ "type": "module", "devDependencies": { "vitest": "4" } }');
    vi.stubEnv("npm_execpath", writeFakeNpm(product, OFFLINE, 1));
    expect(await setUp()).toBe(0);
    expect(await setUp({ install: true, forTests: true })).toBe(3);
  });

  it("is refused, naming what is missing, when only building is allowed", async () => {
    product.remove("node_modules");
    expect(await setUp({ install: false, forTests: false })).toBe(3);
    expect(said).toContain("missing: typescript, @types/node");
  });
});

describe("the lock", () => {
  const lockFile = (): string => join(product.root, "dist/.setup.lock");

  it("lets one set-up at a time in", async () => {
    const release = await acquireLock(lockFile(), 5_000, NEVER);
    let entered = false;
    const second = acquireLock(lockFile(), 5_000, NEVER).then((giveBack: () => void) => {
      entered = true;
      giveBack();
    });
    await new Promise((resolve) => setTimeout(resolve, 250));
    expect(entered).toBe(false);
    release();
    await second;
    expect(entered).toBe(true);
    expect(product.has("dist/.setup.lock")).toBe(false);
  });

  it("is taken over from a process that is gone", async () => {
    const gone = spawnSync(process.execPath, ["-e", ""]).pid;
    product.write("dist/.setup.lock", `${gone}\n`);
    const release = await acquireLock(lockFile(), 5_000, NEVER);
    expect(product.read("dist/.setup.lock")).toBe(`${process.pid}\n`);
    release();
  });

  it("gives up at its deadline and names the holder and the file", async () => {
    product.write("dist/.setup.lock", `${process.ppid}\n`);
    const failure = await acquireLock(lockFile(), 150, NEVER).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(SetupFailure);
    expect(String(failure)).toContain(`process ${process.ppid}`);
    expect(String(failure)).toContain(lockFile());
  });
});

describe("the command", () => {
  const run = (...words: string[]) =>
    spawnSync(process.execPath, [join(product.root, "harness/setup.mjs"), ...words], {
      encoding: "utf8",
    });

  it("refuses an option it does not know", () => {
    const result = run("--fast");
    expect(result.status).toBe(2);
    expect(result.stderr).toContain('"--fast" is not understood');
  });

  it("becomes the program: same arguments, its exit code, nothing else on stdout", () => {
    product.write(
      "src/index.ts",
      "console.log(JSON.stringify(process.argv.slice(2))); process.exitCode = 7;\n",
    );
    const result = run("--then", "dist/index.js", "--json", "--for-tests");
    expect(result.stdout).toBe('["--json","--for-tests"]\n');
    expect(result.stderr).toBe("setup: building dist/\n");
    expect(result.status).toBe(7);
  });

  it("lets the program answer SIGTERM", async () => {
    product.write(
      "src/index.ts",
      "process.on('SIGTERM', () => process.exit(9)); setInterval(() => {}, 1000);\n" +
        "console.log('ready');\n",
    );
    const command = [join(product.root, "harness/setup.mjs"), "--then", "dist/index.js"];
    const child = spawn(process.execPath, command, { stdio: ["ignore", "pipe", "ignore"] });
    await once(child.stdout, "data");
    child.kill("SIGTERM");
    expect(await once(child, "exit")).toEqual([9, null]);
  });

  it("runs twice at once without harm", async () => {
    const script = join(product.root, "harness/setup.mjs");
    const both = [1, 2].map(() => once(spawn(process.execPath, [script]), "exit"));
    expect(await Promise.all(both)).toEqual([
      [0, null],
      [0, null],
    ]);
    expect(isBuilt(product.root)).toBe(true);
    expect(product.has("dist/.setup.lock")).toBe(false);
  });

  it("does not keep a half-written record of a build", async () => {
    await setUp();
    appendFileSync(join(product.root, "dist/.esper-build.json"), "{");
    expect(isBuilt(product.root)).toBe(false);
    expect(await setUp()).toBe(0);
    expect(isBuilt(product.root)).toBe(true);
  });
});
