import { readFileSync } from "node:fs";
import { mkdtemp, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openRunLog } from "../../../src/runtime/run/run-log.ts";

const record = (msg: string) =>
  ({ level: "info", time: 1, actor: "one", thread: "main", msg }) as const;

describe("the log of a run", () => {
  it("holds one line for a record at once", async () => {
    const path = join(await mkdtemp(join(tmpdir(), "esper-log-")), "log.jsonl");
    const log = openRunLog(path, "info", (error) => expect.unreachable(error.message));
    log.write(record("hello"));
    expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ actor: "one", msg: "hello" });
    log.close();
  });

  it("goes on when the disk takes nothing, and says so once with the path", async () => {
    const path = join(await mkdtemp(join(tmpdir(), "esper-log-")), "log.jsonl");
    // Every write to this device fails with ENOSPC.
    await symlink("/dev/full", path);
    const told: string[] = [];
    const log = openRunLog(path, "info", ({ code, details }) => {
      told.push(`${code} ${details["path"]}`);
    });
    for (let count = 0; count < 50; count++) log.write(record("x".repeat(100_000)));
    log.close();
    await new Promise((resolve) => setImmediate(resolve));
    expect(told).toEqual([`STORAGE_FULL ${path}`]);
  });
});
