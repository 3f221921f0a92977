import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { SimulatedDisk } from "../../../harness/sim/disk/disk.ts";
import { type Disk, type OpenMode, systemDisk } from "../../../src/runtime/durable/disk.ts";
import { createRandom, type Random } from "../../../src/runtime/random.ts";

const SEEDS = 40;
const STEPS = 120;
const NAMES = ["a", "b", "d/a", "d/b", "d", "e", "e/a", "d/e"];
const MODES: readonly OpenMode[] = ["read", "write", "create"];

let root = "";
beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), "esper-model-")));
});
afterEach(() => rm(root, { recursive: true }));

type Step = (disk: Disk) => Promise<unknown>;

async function use(disk: Disk, path: string, mode: OpenMode, random: Random): Promise<unknown> {
  const handle = await disk.open(path, mode, 0o644);
  const seen: unknown[] = [];
  const note = async (work: Promise<unknown>): Promise<void> => {
    seen.push(await outcome(work));
  };
  const bytes = Uint8Array.from({ length: random.integer(900) }, () => random.integer(256));
  const offset = random.integer(1_500);
  if (mode !== "read") {
    await note(handle.write(bytes, offset));
    if (random.integer(2) === 0) await note(handle.truncate(random.integer(1_200)));
    await note(handle.datasync());
  }
  const target = new Uint8Array(random.integer(2_000));
  await note(handle.read(target, random.integer(300)));
  const { kind, size } = await handle.stat();
  await handle.close();
  await note(handle.read(target, 0).then(() => "read after the end"));
  return [seen, kind, kind === "file" ? size : null, [...target]];
}

/** What a program sees of a call: its value or the errno. */
async function outcome(work: Promise<unknown>): Promise<unknown> {
  try {
    return (await work) ?? "done";
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
}

async function told(work: ReturnType<Disk["stat"]>): Promise<unknown> {
  const { kind, size } = await work;
  return [kind, kind === "file" ? size : null];
}

/** The same step on every disk: what it draws is drawn before. */
function drawStep(random: Random): { readonly name: string; readonly step: Step } {
  const path = join(root, NAMES[random.integer(NAMES.length)] ?? "");
  const other = join(root, NAMES[random.integer(NAMES.length)] ?? "");
  const seed = random.integer(2 ** 30);
  const mode = MODES[random.integer(MODES.length)] ?? "read";
  const steps: Readonly<Record<string, Step>> = {
    open: (disk) => use(disk, path, mode, createRandom(seed, "use")),
    stat: (disk) => told(disk.stat(path)),
    lstat: (disk) => told(disk.lstat(path)),
    list: async (disk) => (await disk.list(path)).sort(),
    makeDirectory: (disk) => disk.makeDirectory(path),
    removeDirectory: (disk) => disk.removeDirectory(path),
    rename: (disk) => disk.rename(path, other),
    remove: (disk) => disk.remove(path),
    link: (disk) => disk.link(path, other),
    symlink: (disk) => disk.symlink(seed % 2 === 0 ? other : "b", path),
    readLink: (disk) => disk.readLink(path),
    syncDirectory: (disk) => disk.syncDirectory(dirname(path)),
  };
  const names = Object.keys(steps);
  const picked = names[random.integer(names.length)] ?? "stat";
  const step = steps[picked] ?? steps["stat"];
  if (step === undefined) throw new Error("no step");
  return { name: `${picked} ${mode} ${path} ${other}`, step };
}

it("answers every call as the disk of the machine does", async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    await rm(root, { recursive: true });
    await systemDisk.makeDirectory(root);
    const disk = new SimulatedDisk({ random: createRandom(seed, "disk") });
    disk.plantDirectory(root);
    const random = createRandom(seed, "steps");
    const history: string[] = [];
    for (let left = STEPS; left > 0; left--) {
      const { name, step } = drawStep(random);
      history.push(name);
      const real = await outcome(step(systemDisk));
      expect(await outcome(step(disk)), `seed ${seed}:\n${history.join("\n")}`).toEqual(real);
    }
    expect(disk.openHandles).toBe(0);
  }
});
