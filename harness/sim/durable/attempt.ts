/** Runs one life on a disk, and judges what the next one finds on what is left of it. */
import { createRandom, filesOn } from "esper-runtime";
import type { SimulatedDisk } from "../disk/disk.ts";
import { BrokenPromise, type Ending, type Told } from "./told.ts";
import type { Workload } from "./workload.ts";

/** @throws {BrokenPromise} also for an error without a code and for a handle that stays open. */
export async function live(
  workload: Workload,
  disk: SimulatedDisk,
  told: Told,
  seed: number,
): Promise<void> {
  const random = createRandom(seed, "workload");
  try {
    await workload.run({ files: filesOn(disk), told, random });
  } catch (error) {
    if (error instanceof BrokenPromise) throw error;
    throw new BrokenPromise(`failed without a code: ${String(error)}`, { cause: error });
  }
  if (disk.openHandles !== 0) {
    throw new BrokenPromise(`${disk.openHandles} files are open after the end`);
  }
  const [believed] = disk.believedSyncs;
  if (believed !== undefined) {
    throw new BrokenPromise(`believed a sync of ${believed} after one that failed`);
  }
}

/**
 * Restarts on a disk that works again: what is found must be what was told. Then one more life
 * must go well and be found.
 * @throws {BrokenPromise}
 */
export async function judge(
  workload: Workload,
  disk: SimulatedDisk,
  told: Told,
  endings: readonly Ending[],
): Promise<void> {
  await settle(workload, disk, told, endings);
  const before = told.acknowledgements;
  await live(workload, disk, told, told.acknowledgements);
  if (told.acknowledgements === before) {
    throw new BrokenPromise("nothing was acknowledged after the restart");
  }
  await settle(workload, disk.crash(), told, ["power lost"]);
}

/** Opens what is there and compares it with what was told. @throws {BrokenPromise} */
export async function settle(
  workload: Workload,
  disk: SimulatedDisk,
  told: Told,
  endings: readonly Ending[],
): Promise<void> {
  let found: readonly string[];
  try {
    found = await workload.recover({ files: filesOn(disk), told });
  } catch (error) {
    throw new BrokenPromise(`the restart failed: ${String(error)}`, { cause: error });
  }
  if (disk.openHandles !== 0) {
    throw new BrokenPromise(`${disk.openHandles} files are open after the restart`);
  }
  told.settle(found, workload.keeps, endings);
}
