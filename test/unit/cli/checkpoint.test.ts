/** `checkpoint ...`: what is asked for, what is said, and with which exit code. */
import { describe, expect, test } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import type { DurableDeps } from "../../../src/runtime/cli/durable-deps.ts";
import { diffCheckpoints } from "../../../src/runtime/durable/checkpoint-diff.ts";
import { type Outcome, type, UNUSED_DURABLE, words } from "./console.ts";

const directory = "/r/one/checkpoints";
const path = `${directory}/step-000000000020.ckpt`;

async function run(line: string, durable: Partial<DurableDeps> = {}): Promise<Outcome> {
  return type(words(`${line} --runs /r`), { durable: { ...UNUSED_DURABLE, ...durable } });
}

describe("checkpoint ls", () => {
  const entry = {
    ...{ path, name: "step-000000000020.ckpt", step: 1_020, final: false, bytes: 13_926 },
    ...{ savedMs: 1_767_225_600_000, epoch: 60, digest: "ab".repeat(32), verifiedMs: null },
    flaw: null,
  };

  test("lists in columns", async () => {
    const torn = { ...entry, name: "step-000000000010.ckpt", epoch: null, flaw: "it is cut short" };
    const listCheckpoints = async () => ({ directory, checkpoints: [entry, torn] });
    const outcome = await run("checkpoint ls one", { listCheckpoints });
    expect(outcome.stdout.split("\n")).toEqual([
      "CHECKPOINT              STEP   EPOCH  SAVED (UTC)              SIZE      DIGEST        " +
        "VERIFIED (UTC)  STATE",
      "step-000000000020.ckpt  1,020  60     2026-01-01 00:00:00.000  13.6 KiB  abababababab  " +
        "never           not re-read; its ends fit",
      "step-000000000010.ckpt  1,020  -      2026-01-01 00:00:00.000  13.6 KiB  abababababab  " +
        "never           damaged: it is cut short",
      "",
    ]);
    const json = await run("checkpoint ls one --json", { listCheckpoints });
    expect(JSON.parse(json.stdout)).toMatchObject({ kind: "checkpoints", directory });
  });

  test("says on stderr that there are none", async () => {
    const listCheckpoints = async () => ({ directory, checkpoints: [] });
    const outcome = await run("checkpoint ls one", { listCheckpoints });
    expect([outcome.code, outcome.stdout]).toEqual([0, ""]);
    expect(outcome.stderr).toContain(directory);
  });
});

describe("checkpoint verify", () => {
  const whole = {
    ...{ path, ok: true, flaw: null, bytes: 13_926, version: 2, digest: "ab" },
    ...{ step: 20, epoch: 2, runId: "one", arrays: 12 },
  };
  const flaw = { offset: 4_096, why: "its digest does not match", expected: "ab", found: "cd" };

  test("tells intact ones, and exits with 4 when one is damaged", async () => {
    const good = async () => ({ directory, checkpoints: [whole] });
    const outcome = await run("checkpoint verify one", { verifyCheckpoints: good });
    expect(outcome).toMatchObject({
      code: 0,
      stdout: `intact   ${path}  step 20, 12 arrays, 13.6 KiB, ab\n`,
    });
    const bad = async () => ({ directory, checkpoints: [{ ...whole, ok: false, flaw }, whole] });
    const damaged = await run("checkpoint verify one", { verifyCheckpoints: bad });
    expect(damaged.code).toBe(4);
    expect(damaged.stdout).toContain(
      `damaged  ${path} at byte 4,096: its digest does not match\n` +
        "  expected  ab\n  found     cd\n",
    );
    const json = await run("checkpoint verify one --json", { verifyCheckpoints: bad });
    expect(JSON.parse(json.stdout)).toMatchObject({ kind: "checkpoint-verify", ok: false });
    expect(json.code).toBe(4);
  });

  test("one of a later version is told as unknown, not as damaged", async () => {
    const newer = { ...flaw, offset: 8, newer: true } as const;
    const answer = async () => ({ directory, checkpoints: [{ ...whole, ok: false, flaw: newer }] });
    const outcome = await run("checkpoint verify one", { verifyCheckpoints: answer });
    expect(outcome.code).toBe(4);
    expect(outcome.stdout).toMatch(/^unknown {2}\S+ at byte 8: /);
  });

  test("none at all is something missing", async () => {
    const none = async () => ({ directory, checkpoints: [] });
    const outcome = await run("checkpoint verify one --json", { verifyCheckpoints: none });
    expect(outcome.code).toBe(3);
    expect(JSON.parse(outcome.stdout)).toMatchObject({ kind: "error", code: "NOTHING_STORED" });
  });
});

describe("checkpoint diff", () => {
  const left = { meta: { step: 10, old: true }, arrays: { w: Float32Array.of(1, 2, 4) } };
  const right = {
    meta: { step: 20 },
    arrays: { w: Float32Array.of(1, 2, 3), seed: Float32Array.of(7) },
  };

  test("shows arrays, values and how far they are apart", async () => {
    const asked: unknown[] = [];
    const answer: DurableDeps["diffCheckpoints"] = async (...refs) => {
      asked.push(refs.map(({ run: name }) => name));
      return { directory, checkpoints: ["/a", "/b"], ...diffCheckpoints(left, right) };
    };
    const outcome = await run("checkpoint diff one@10 one", { diffCheckpoints: answer });
    expect(asked).toEqual([["one@10", "one"]]);
    expect(outcome.stdout.split("\n")).toEqual([
      "from  /a",
      "to    /b",
      "",
      "ARRAY  CHANGE             DIFFER  LARGEST  AT  RELATIVE",
      "seed   added - -> f32[1]  -       -        -   -",
      "w      changed            1 of 3  1        2   0.25",
      "",
      "step: 10 -> 20",
      "old: removed true",
      "2 arrays and 2 values differ",
      "",
    ]);
    const json = await run("checkpoint diff one@10 one --json", { diffCheckpoints: answer });
    expect(JSON.parse(json.stdout)).toMatchObject({
      kind: "checkpoint-diff",
      from: "/a",
      to: "/b",
      identical: false,
    });
  });

  test("of a damaged one exits with 4, of one that this program cannot know with 1", async () => {
    const fail = (code: "CHECKPOINT_DIGEST" | "CHECKPOINT_VERSION") =>
      run("checkpoint diff a b --json", {
        diffCheckpoints: () => Promise.reject(new EsperError(code, "what is wrong", { path })),
      });
    const damaged = await fail("CHECKPOINT_DIGEST");
    expect(damaged.code).toBe(4);
    expect(JSON.parse(damaged.stdout)).toMatchObject({
      ...{ kind: "error", code: "CHECKPOINT_DAMAGED", message: "what is wrong" },
      details: { path },
    });
    expect((await fail("CHECKPOINT_VERSION")).code).toBe(1);
  });

  test("says that two are the same", async () => {
    const answer: DurableDeps["diffCheckpoints"] = async () => ({
      ...{ directory, checkpoints: ["/a", "/b"] },
      ...diffCheckpoints(left, left),
    });
    const outcome = await run("checkpoint diff a b", { diffCheckpoints: answer });
    expect(outcome.stdout).toContain("identical: the same numbers and the same metadata\n");
    expect(outcome.code).toBe(0);
  });

  test.each([
    ["checkpoint", "checkpoint needs a command"],
    ["checkpoint lst one", "did you mean ls?"],
    ["checkpoint diff one", "missing required argument 'b'"],
    ["checkpoint ls", "missing required argument 'run'"],
  ])("`%s` is refused", async (line, why) => {
    const outcome = await run(line);
    expect(outcome.code).toBe(2);
    expect(outcome.stderr).toContain(why);
  });
});
