/**
 * One set-up at a time in one checkout. The lock is a file that names its process; a lock whose
 * process is gone is taken over, a living one is waited for up to a deadline, never broken.
 */
import fs from "node:fs";
import path from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { EXIT_BUILD, SetupFailure, SetupInterrupted, tell } from "./failure.mjs";

const POLL_MS = 100;
const TELL_AFTER_MS = 1_000;

/** True when the process may still run; a process of another user counts as running. */
function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

function readHolder(file) {
  try {
    return fs.readFileSync(file, "utf8");
  } catch (error) {
    if (error.code === "ENOENT") return null;
    throw error;
  }
}

/** Removes a dead process's lock. Another waiter may have replaced it meanwhile: put that back. */
function takeAway(file, holder) {
  const aside = `${file}.${process.pid}`;
  try {
    fs.renameSync(file, aside);
  } catch (error) {
    if (error.code === "ENOENT") return;
    throw error;
  }
  if (readHolder(aside) !== holder) fs.linkSync(aside, file);
  fs.unlinkSync(aside);
}

/** Creates the file with its content in one step, so that nobody reads a half-written lock. */
function tryCreate(file) {
  const draft = `${file}.${process.pid}.new`;
  fs.writeFileSync(draft, `${process.pid}\n`);
  try {
    fs.linkSync(draft, file);
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  } finally {
    fs.unlinkSync(draft);
  }
}

/**
 * Waits for the lock at `file` and returns the function that gives it back.
 * @throws {SetupFailure} when another living process holds it longer than `deadlineMs`.
 */
export async function acquireLock(file, deadlineMs, stop) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const startMs = performance.now();
  let told = false;
  while (!tryCreate(file)) {
    if (stop.aborted) throw new SetupInterrupted(stop.reason);
    const holder = readHolder(file);
    if (holder === null) continue;
    const pid = Number.parseInt(holder, 10);
    if (!(pid > 0 && isRunning(pid))) {
      takeAway(file, holder);
      continue;
    }
    const waitedMs = performance.now() - startMs;
    if (waitedMs > deadlineMs) {
      throw new SetupFailure(
        EXIT_BUILD,
        `another set-up (process ${pid}) has held ${file} for ${Math.round(waitedMs / 1_000)} s. ` +
          "Wait for it or end it; if no set-up is running, delete that file and run this again.",
      );
    }
    if (!told && waitedMs > TELL_AFTER_MS) {
      tell(`waiting for another set-up (process ${pid}) in this folder`);
      told = true;
    }
    await sleep(POLL_MS);
  }
  const release = () => {
    if (Number.parseInt(readHolder(file) ?? "", 10) === process.pid) fs.unlinkSync(file);
  };
  process.once("exit", release);
  return () => {
    process.off("exit", release);
    release();
  };
}
