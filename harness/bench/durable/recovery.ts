/**
 * Opening a log of 1 GiB, every byte of it checked, and reading it: how fast, and that memory does
 * not grow with the log. The file was just written, so its pages are in memory: this is about the
 * program, not the device.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { type Figure, plainRow, type Row } from "../runtime/row.ts";
import { type Launch, outputOf } from "../runtime/side-process.ts";
import { type DurableBench, scaled } from "./options.ts";

const Opened = z.object({
  bytes: z.number().positive(),
  records: z.number().positive(),
  openMs: z.number().positive(),
  readMs: z.number().positive(),
  /** Growth of the highest resident memory, by the open alone and with the reading. */
  openGrowth: z.number(),
  growth: z.number(),
});
/** What one open of the log took. */
export type Opened = z.infer<typeof Opened>;
const Made = z.object({ records: z.number().positive() });

const SIDE = fileURLToPath(new URL("./recovery-side.js", import.meta.url));
const LOG_BYTES = 2 ** 30;
const AT_LEAST_MB = 500;
const AT_MOST_MIB = 64;
const MEGA = 1e6;
const MIB = 2 ** 20;
const DEADLINE_MS = 600_000;

async function side(...args: readonly string[]): Promise<unknown> {
  const launch: Launch = {
    command: process.execPath,
    args: ["--expose-gc", SIDE, ...args],
    deadlineMs: DEADLINE_MS,
  };
  const out = await outputOf(launch);
  const result: unknown = JSON.parse(out.trimEnd().split("\n").at(-1) ?? "");
  return result;
}

export const recovery: DurableBench = {
  name: "recovery",
  about: "opening and reading a log of 1 GiB: speed and memory",
  async run(options) {
    const directory = mkdtempSync(join(options.directory, "recovery-"));
    try {
      options.say("recovery: making the log");
      const made = Made.parse(await side("make", directory, String(scaled(LOG_BYTES, options))));
      const opened: Opened[] = [];
      for (let round = 0; round < options.rounds; round++) {
        options.say(`recovery: opening it, ${round + 1} of ${options.rounds}`);
        opened.push(Opened.parse(await side("open", directory)));
      }
      const wrong = opened.find(({ records }) => records !== made.records);
      if (wrong !== undefined) throw new Error(`${wrong.records} of ${made.records} records`);
      return rowsOf(opened);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
};

function rowsOf(opened: readonly Opened[]): Row[] {
  const figure = (name: string, unit: string, pick: (one: Opened) => number): Figure => ({
    ...{ name, unit, rounds: opened.map(pick) },
  });
  const mib = Math.round((opened[0]?.bytes ?? 0) / MIB);
  const rate = (pick: (one: Opened) => number) => (one: Opened) =>
    one.bytes / MEGA / (pick(one) / 1_000);
  return [
    plainRow(
      `opening a log of ${mib} MiB, every byte checked`,
      figure(
        "esper",
        "MB/s",
        rate(({ openMs }) => openMs),
      ),
      { atLeast: AT_LEAST_MB },
    ),
    plainRow(
      `memory that opening ${mib} MiB takes`,
      figure("esper", "MiB", ({ openGrowth }) => openGrowth / MIB),
      { atMost: AT_MOST_MIB },
    ),
    plainRow(
      "reading every record of it",
      figure(
        "esper",
        "MB/s",
        rate(({ readMs }) => readMs),
      ),
      null,
    ),
    plainRow(
      "memory that opening and reading it takes",
      figure("esper", "MiB", ({ growth }) => growth / MIB),
      { atMost: AT_MOST_MIB },
    ),
  ];
}
