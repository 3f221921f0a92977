/** One writer process, killed at a moment that a seed decides, and all that it told before. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Random } from "esper-runtime";
import { decodeTold, TOLD_BYTES, TOLD_FD, type Told } from "./told.ts";

const WRITER = fileURLToPath(new URL("./kill-writer.js", import.meta.url));
/** Shares of the kills: so long after the start of the process, or after the log is open. */
const EARLY_SHARE = 0.15;
const EARLY_MS = 90;
const LATE_SHARE = 0.35;
const LATE_MS = 40;
/** The others: when the writer has told so much, however slow the machine is. */
const TOLD_MESSAGES = 800;
/** One of so many of these lives is as many times as long: it comes to the end of a compaction. */
const LONG_LIFE = 6;
const DEADLINE_MS = 20_000;

/** What became of a writer. */
export interface Killed {
  readonly told: readonly Told[];
  /** Why it ended when it was not the kill. */
  readonly failure: string | null;
}

/** When to kill. `afterMs` counts from the start, or from the first message on. */
export type Moment =
  | { readonly kind: "early" | "late"; readonly afterMs: number }
  | { readonly kind: "told"; readonly messages: number };

/** The next moment of the random stream. */
export function drawMoment(random: Random): Moment {
  const kind = random.next();
  if (kind < EARLY_SHARE) return { kind: "early", afterMs: random.next() * EARLY_MS };
  if (kind < EARLY_SHARE + LATE_SHARE) return { kind: "late", afterMs: random.next() * LATE_MS };
  const times = random.integer(LONG_LIFE) === 0 ? LONG_LIFE : 1;
  return { kind: "told", messages: 1 + random.integer(times * TOLD_MESSAGES) };
}

/** Calls `kill` at the moment; `heard` is told of every message's bytes so far. */
function arm(moment: Moment, kill: () => void): { heard(bytes: number): void; disarm(): void } {
  const early = moment.kind === "early";
  let timer = early ? setTimeout(kill, moment.afterMs) : null;
  return {
    heard(bytes) {
      if (moment.kind === "told") {
        if (bytes >= moment.messages * TOLD_BYTES) kill();
      } else timer ??= setTimeout(kill, moment.afterMs);
    },
    disarm() {
      if (timer !== null) clearTimeout(timer);
    },
  };
}

/** Starts a writer, kills it at the moment, and returns all that it told. */
export function killOne(args: readonly (string | number)[], moment: Moment): Promise<Killed> {
  const child = spawn(process.execPath, [WRITER, ...args.map(String)], {
    stdio: ["ignore", "ignore", "pipe", "pipe"],
  });
  const kill = (): void => void child.kill("SIGKILL");
  let late: string | null = null;
  const limit = setTimeout(() => {
    late = `was not at work within ${DEADLINE_MS} ms`;
    kill();
  }, DEADLINE_MS);
  const armed = arm(moment, kill);
  const chunks: Buffer[] = [];
  let bytes = 0;
  child.stdio[TOLD_FD]?.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    bytes += chunk.byteLength;
    armed.heard(bytes);
  });
  let problems = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    problems += chunk.toString();
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      clearTimeout(limit);
      armed.disarm();
      const other = `ended with ${signal ?? code}: ${problems}`;
      const failure = signal === "SIGKILL" ? late : other;
      resolve({ told: decodeTold(Buffer.concat(chunks)), failure });
    });
  });
}
