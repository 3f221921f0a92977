import { describe, expect, it } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import type { CliDeps, RunConnection } from "../../../src/runtime/cli/deps.ts";
import { displayWidth } from "../../../src/runtime/cli/ui/width.ts";
import type { ActorSnapshot, SystemSnapshot } from "../../../src/runtime/inspect/snapshot.ts";
import { CancellationToken } from "../../../src/runtime/token.ts";
import { type } from "../cli/console.ts";

const MIB = 1_024 * 1_024;
const failures = { recent: 0, intensity: 3, periodMs: 5_000 };

function actorOf(name: string, fields: Partial<ActorSnapshot> = {}): ActorSnapshot {
  return {
    ...{ kind: "actor", name, protocol: name, thread: "device", restart: "permanent" },
    ...{ state: "running", starts: 1, failures, processed: 1_234, failed: 0, perSecond: 56.78 },
    mailbox: {
      ...{ depth: 0, capacity: 1_024, overflow: "reject", onTheWay: 0, stashed: 0 },
      lanes: [],
    },
    current: null,
    ...fields,
  };
}

const SNAPSHOT: SystemSnapshot = {
  version: 1,
  atMs: 1_700_000_000_000,
  uptimeMs: 12_345,
  overMs: 500,
  process: { pid: 4_711, rssBytes: 230 * MIB },
  tree: {
    ...{ kind: "supervisor", name: "root", strategy: "rest_for_one", failures },
    children: [
      actorOf("nissa", { thread: "durable" }),
      {
        ...{ kind: "supervisor", name: "root/training", strategy: "one_for_all", failures },
        children: [
          actorOf("tolaria", {
            ...{ state: "restarting", starts: 3, failed: 2 },
            failures: { ...failures, recent: 2 },
            mailbox: {
              ...{ depth: 9, capacity: 8, overflow: "wait", onTheWay: 3, stashed: 1 },
              lanes: [
                { lane: "system", depth: 0, oldestMs: null },
                { lane: "emergency", depth: 1, oldestMs: 12 },
                { lane: "control", depth: 5, oldestMs: 1_250 },
                { lane: "bulk", depth: 0, oldestMs: null },
              ],
            },
            current: { message: "train", forMs: 4_000, waiting: false },
          }),
        ],
      },
    ],
  },
  threads: [
    {
      ...{ name: "main", id: 0, epoch: 1, state: "parked", heartbeatAgeMs: 0, utilisation: 0.031 },
      ...{ parks: 10, wakes: 9, spins: 0, ringFull: 0, memory: null, publishedAgeMs: 3 },
      rings: [{ to: "device", lane: "bulk", usedBytes: 1_024, capacityBytes: 4_096 }],
      spawned: { count: 2, top: [{ name: "child#1", depth: 4, oldestMs: 3 }] },
      pools: [],
    },
    {
      ...{ name: "device", id: 1, epoch: 2, state: "running", heartbeatAgeMs: 4_000 },
      ...{ utilisation: null, parks: 0, wakes: 0, spins: 0, ringFull: 7, publishedAgeMs: 4_000 },
      memory: {
        ...{ heapUsedBytes: 20 * MIB, heapLimitBytes: 4_000 * MIB },
        ...{ externalBytes: 8 * MIB, arrayBuffersBytes: 6 * MIB },
      },
      ...{ rings: [], spawned: { count: 0, top: [] }, pools: [] },
    },
  ],
  deadLetters: {
    total: 3,
    byReason: { "mailbox-full": 2, stopped: 1 },
    last: [
      {
        ...{ atMs: 1, thread: "device", actor: "tolaria", message: "note\u001b[2J" },
        ...{ lane: "bulk", from: "nissa", reason: "mailbox-full", count: 2 },
      },
    ],
  },
  spares: 1,
  zombies: 0,
};

interface Looks {
  readonly overs: number[];
  readonly refs: unknown[];
  closed: number;
  openControl: CliDeps["openControl"];
}

/** A run that shows `SNAPSHOT`; after `failAfter` looks the connection is lost. */
function running(failAfter = Number.POSITIVE_INFINITY, onLook: (count: number) => void = () => {}) {
  const looks: Looks = {
    overs: [],
    refs: [],
    closed: 0,
    openControl: async (ref) => {
      looks.refs.push(ref);
      const connection: RunConnection = {
        runId: "run-1",
        directory: "/runs/run-1",
        inspect: async ({ overMs }) => {
          looks.overs.push(overMs);
          onLook(looks.overs.length);
          if (looks.overs.length <= failAfter) return SNAPSHOT;
          throw new EsperError("CONTROL_UNREACHABLE", "the connection to the run is over");
        },
        close: () => {
          looks.closed += 1;
        },
      };
      return connection;
    },
  };
  return looks;
}

describe("inspect", () => {
  it("shows the tree, the threads and the dead letters of the latest run", async () => {
    const looks = running();
    const { code, stdout, stderr } = await type(["inspect", "--runs", "/runs"], looks);
    expect([code, stderr]).toEqual([0, ""]);
    expect(looks.refs).toEqual([{ runsDirectory: "/runs", run: "latest" }]);
    expect(looks.closed).toBe(1);
    const found = stdout.split("\n").map((line) => line.replace(/ {2,}/g, "  "));
    expect(found[0]).toBe(
      "run-1  process 4711  up 12.3 s  230 MiB resident  1 spare  no zombies  rates over 500 ms",
    );
    expect(found).toContain("root rest_for_one  0/3 in 5.0 s");
    expect(found).toContain(
      "├─ nissa  durable  running  1  0/3 in 5.0 s  0/1,024  1,234  56.8  0  -",
    );
    expect(found).toContain("└─ training one_for_all  0/3 in 5.0 s");
    expect(stdout).toMatch(/ {3}└─ tolaria +device +restarting +3 +2\/3 in 5\.0 s +9\/8 /);
    expect(stdout).toContain("train for 4.0 s");
    expect(stdout).toContain("emergency 1 (oldest 12 ms)  control 5 (oldest 1.3 s)");
    expect(stdout).toContain("3 on the way  1 put aside");
    expect(stdout).toMatch(/device +1 +2 +running +- +0 +0 +7 +20 MiB +6 MiB +0 +4\.0 s ago/);
    expect(stdout).toContain("ring to device, bulk: 25 % full");
    expect(stdout).toContain("most messages: child#1 4");
    expect(stdout).toContain("3 dead letters  mailbox-full 2  stopped 1");
    expect(stdout).not.toContain("\u001b");
  });

  it("aligns its columns", async () => {
    const { stdout } = await type(["inspect", "--runs", "/runs"], running());
    const lines = stdout.split("\n");
    const at = (line: string | undefined, word: string): number =>
      displayWidth((line ?? "").slice(0, (line ?? "").indexOf(word)));
    const head = lines.find((line) => line.startsWith("ACTOR"));
    const nissa = lines.find((line) => line.includes("nissa") && line.includes("durable"));
    expect(at(nissa, "durable")).toBe(at(head, "THREAD"));
    expect(at(nissa, "running")).toBe(at(head, "STATE"));
  });

  it("prints one line of JSON on demand", async () => {
    const { code, stdout } = await type(["inspect", "run-1", "--json", "--runs", "/r"], running());
    expect(code).toBe(0);
    expect(stdout.trimEnd().split("\n")).toHaveLength(1);
    expect(JSON.parse(stdout)).toEqual({
      ...{ kind: "inspect", runId: "run-1", directory: "/runs/run-1" },
      ...SNAPSHOT,
    });
  });

  it("looks again and again until it is stopped, and then ends well", async () => {
    const stop = new CancellationToken();
    const looks = running(undefined, (count) => {
      if (count === 3) queueMicrotask(() => stop.cancel());
    });
    const told: unknown[] = [];
    const signals: CliDeps["signals"] = {
      hold: (farewell) => {
        told.push(farewell);
        return stop;
      },
      received: () => null,
    };
    const argv = ["inspect", "--watch", "0.2", "--json", "--runs", "/runs"];
    const { code, stdout } = await type(argv, { ...looks, signals });
    expect(code).toBe(0);
    expect(looks.overs.slice(0, 3)).toEqual([200, 200, 200]);
    expect(stdout.trimEnd().split("\n").length).toBeGreaterThanOrEqual(2);
    expect(told).toEqual([null]);
    expect(looks.closed).toBeGreaterThan(0);
  });

  it("redraws in place on a terminal", async () => {
    const stop = new CancellationToken();
    let written = "";
    const stdout = {
      write: (text: string) => {
        written += text;
      },
      ...{ isTTY: true, columns: () => 80, rows: () => 40 },
    };
    const looks = running(undefined, (count) => {
      if (count === 2) queueMicrotask(() => stop.cancel());
    });
    const signals = { hold: () => stop, received: () => null };
    const { code } = await type(["inspect", "--watch", "--runs", "/r"], {
      ...{ ...looks, signals, stdout, environment: { NO_COLOR: "1" } },
    });
    expect(code).toBe(0);
    expect(looks.overs[0]).toBe(500);
    expect(written).toContain("\u001b[K");
    for (const colour of [1, 2, 3]) expect(written).not.toContain(`\u001b[3${colour}m`);
    expect(written.endsWith("\u001b[?25h")).toBe(true);
  });

  it("fails when the run ends while it watches", async () => {
    const looks = running(2);
    const { code, stderr } = await type(["inspect", "--watch", "--json", "--runs", "/r"], looks);
    expect(code).toBe(1);
    expect(stderr).toContain("error CONTROL_UNREACHABLE: the connection to the run is over");
  });

  it.each([
    [["inspect", "--watch", "0"], "--watch"],
    [["inspect", "--watch", "11"], "--watch"],
    [["inspect", "--quiet"], "--quiet"],
    [["inspect", "--seed", "3"], "--seed"],
  ])("refuses %j", async (argv, flag) => {
    const { code, stderr } = await type(argv, running());
    expect(code).toBe(2);
    expect(stderr).toContain("USAGE");
    expect(stderr).toContain(flag);
  });
});
