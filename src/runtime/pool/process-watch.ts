/**
 * A thread of a child process that only looks whether the parent is still there. Without it a child
 * that computes for ever would outlive a parent that was killed.
 */
import { workerData } from "node:worker_threads";

const LOOK_EVERY_MS = 200;

const parentPid = workerData as number;
const never = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

while (process.ppid === parentPid) Atomics.wait(never, 0, 0, LOOK_EVERY_MS);
process.kill(process.pid, "SIGKILL");
