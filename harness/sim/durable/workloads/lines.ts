/** A file of JSON lines: appended, synced, cut back and replaced, its size remembered elsewhere. */
import { JsonLines } from "esper-runtime/testkit";
import type { Told } from "../told.ts";
import { coded, itemOf, type Life, payloadOf, type Workload } from "../workload.ts";

const PATH = "/run/lines.jsonl";
const SIZE = "size";
const ROUNDS = 3;
const APPENDS = 3;

const lineOf = (item: string): Uint8Array => Uint8Array.from([...payloadOf(item), 0x0a]);

async function sync(lines: JsonLines, told: Told, fresh: readonly string[]): Promise<boolean> {
  if ((await coded(lines.sync().then(() => true))) === null) return false;
  told.remember(SIZE, lines.size);
  for (const item of fresh) told.acknowledge(item);
  return true;
}

async function append(lines: JsonLines, { told }: Life): Promise<string[]> {
  const fresh: string[] = [];
  for (let left = APPENDS; left > 0; left--) {
    const item = told.offer();
    if ((await coded(lines.append(lineOf(item)).then(() => true))) === true) fresh.push(item);
    else told.refuse(item);
  }
  return fresh;
}

/** Takes lines back and makes that durable. */
async function cutBack(lines: JsonLines, told: Told, items: readonly string[], size: number) {
  for (const item of items) told.release(item);
  return (await coded(lines.cutBack(size).then(() => true))) === true && sync(lines, told, []);
}

/** Folds the file to its newest lines. */
async function fold(lines: JsonLines, told: Told): Promise<boolean> {
  const { owed } = told;
  const kept = owed.slice(-APPENDS);
  for (const item of owed.slice(0, -APPENDS)) told.release(item);
  const bytes = Uint8Array.from(kept.flatMap((item) => [...lineOf(item)]));
  const folded = await coded(lines.replace(bytes).then(() => true));
  // A failed one may be in place or not: only a sync says what counts, before anything is added.
  if (folded !== true) return sync(lines, told, []);
  told.remember(SIZE, lines.size);
  return true;
}

async function rounds(lines: JsonLines, life: Life): Promise<void> {
  const { told } = life;
  for (let round = 1; round <= ROUNDS; round++) {
    if (!(await sync(lines, told, await append(lines, life)))) return;
    const before = lines.size;
    const taken = await append(lines, life);
    if (round === 2 && !(await cutBack(lines, told, taken, before))) return;
    if (round !== 2 && !(await sync(lines, told, taken))) return;
  }
  if (await fold(lines, told)) await sync(lines, told, await append(lines, life));
}

export const lines: Workload = {
  name: "lines",
  keeps: "all",
  async run(life) {
    const { files, told } = life;
    if ((await coded(files.makeDirectory("/run").then(() => true))) === null) return;
    const opened = await coded(JsonLines.open(files, PATH, told.recall(SIZE) ?? 0));
    if (opened === null) return;
    // Shorter than remembered when it was folded: what is added now must not count by itself.
    told.remember(SIZE, opened.size);
    await rounds(opened, life);
    await coded(opened.close());
  },
  async recover({ files, told }) {
    await files.makeDirectory("/run");
    const opened = await JsonLines.open(files, PATH, told.recall(SIZE) ?? 0);
    told.remember(SIZE, opened.size);
    const bytes = await opened.read();
    await opened.sync();
    await opened.close();
    const text = new TextDecoder().decode(bytes).split("\n").slice(0, -1);
    return text.map((line) => itemOf(new TextEncoder().encode(line)));
  },
};
