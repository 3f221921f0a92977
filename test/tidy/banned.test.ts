import { describe, expect, it } from "vitest";
import { parseSource } from "../../harness/static-analysis/source.ts";
import { bannedViolations } from "./banned.ts";

function judge(text: string, path = "src/runtime/x/a.ts"): string[] {
  return bannedViolations(parseSource(path, text)).map((one) => one.message);
}

describe("banned names", () => {
  it.each([
    ["Date.now()", "src/runtime/clock.ts", "clock.nowMs()"],
    ["performance.now()", "src/runtime/clock.ts", "clock.monotonicMs()"],
    ["setTimeout(f, 1)", "src/runtime/clock.ts", "clock.after()"],
    ["globalThis.setInterval(f, 1)", "src/runtime/clock.ts", "clock.after()"],
    ["process.exit(1)", "src/runtime.ts", "exit code"],
    ["process.env.HOME", "src/runtime/config/environment.ts", "Environment"],
    ['process["env"]', "src/runtime/config/environment.ts", "Environment"],
    ["process.stdout.write(s)", "src/runtime/cli/main.ts", "telemetry"],
    ["console.log(s)", "src/runtime/cli/main.ts", "telemetry"],
  ])("%s is allowed in %s only, and the message names what to use", (code, home, instead) => {
    expect(judge(`${code};`, home)).toEqual([]);
    const found = judge(`${code};`);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(instead);
  });

  it("Math.random has no home", () => {
    expect(judge("Math.random();", "src/runtime/random.ts")).toHaveLength(1);
  });

  it("a banned name passed as a value is found, too", () => {
    expect(judge("const now = Date.now;")).toHaveLength(1);
    expect(judge("use({ setTimeout });")).toHaveLength(1);
    expect(judge("const { env } = process;")).toHaveLength(1);
    expect(judge("use(process);")).toHaveLength(1);
    expect(judge("const p = process;")).toHaveLength(1);
  });

  it("the same word as a property, a type, a local name or a text is no use", () => {
    expect(judge("clock.setTimeout(1); const o = { setTimeout: 1 };")).toEqual([]);
    expect(judge("interface C { setTimeout(ms: number): void; console: string }")).toEqual([]);
    expect(judge("function f(console: Sink) { console.log(1); }")).toEqual([]);
    expect(judge("// Date.now()\nconst s = 'process.env'; const t = `Math.random()`;")).toEqual([]);
    expect(judge("const emitter: NodeJS.EventEmitter = process;")).toEqual([]);
    expect(judge("process.pid; process.memoryUsage();")).toEqual([]);
  });
});

describe("banned constructs", () => {
  it.each([
    ["new Date();", "new Date() reads the clock"],
    ["Date();", "new Date() reads the clock"],
    ["const x = JSON.parse(s);", "JSON.parse"],
    ["const x = s as unknown as T;", "as unknown as"],
    ["const x = (s as unknown) as T;", "as unknown as"],
    ["const x = s!;", "non-null"],
    ["export default 1;", "default export"],
    ["export default function f() {}", "default export"],
    ["export { x as default };", "default export"],
    ["enum E { A }", "enum"],
    ["namespace N { const a = 1; }", "namespace"],
    ["@sealed class C {}", "decorator"],
    ["class C { constructor(private x: number) {} }", "parameter property"],
    ["try { f(); } catch {}", "empty catch"],
    ["try { f(); } catch { /* why */ }", "empty catch"],
    ["const x: any = 1;", "any"],
    ["f();;", "empty statement"],
  ])("%s", (code, message) => {
    const found = judge(code);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(message);
  });

  it.each([
    "new Date(ms).toISOString();",
    "const x: unknown = JSON.parse(s);",
    "const x = schema.parse(JSON.parse(s));",
    "const x = schema.safeParse(JSON.parse(s));",
    "function f(s: string): unknown { return JSON.parse(s); }",
    "const x = s as unknown;",
    "const x = !s; const y = a !== b;",
    "export const x = 1; export { y };",
    "class C { constructor(x: number) { use(x); } }",
    "try { f(); } catch { g(); }",
    "// biome-ignore lint/suspicious/noExplicitAny: variance, see above\ntype F = (x: any) => void;",
    "for (;;);",
  ])("does not object to: %s", (code) => {
    expect(judge(code)).toEqual([]);
  });
});
