/** What is no log of ours is refused by name, strictly and as a salvage, and stays as it was. */
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { EsperError } from "../../../src/protocols/errors.ts";
import { systemFiles } from "../../../src/runtime/durable/files.ts";
import { logIdOf, logIdText } from "../../../src/runtime/durable/frame.ts";
import { Wal } from "../../../src/runtime/durable/wal.ts";
import {
  all,
  DIRECTORY,
  expectPrefix,
  FIRST,
  LightFiles,
  lightLog,
  record,
  tryOpen,
} from "./wal-support.ts";

interface Refused {
  readonly name: string;
  readonly log?: string;
  readonly files: Readonly<Record<string, string>>;
  readonly code: string;
  readonly file: string;
  readonly offset: number;
  readonly expected?: string;
  readonly found?: string;
}

const corpus = new URL("../../corpus/wal/refused.json", import.meta.url);
const CASES = JSON.parse(readFileSync(corpus, "utf8")) as readonly Refused[];

describe("a log directory with", () => {
  it.each(CASES)("$name is refused and stays as it was", async (item) => {
    const { code, file, offset, expected, found, log } = item;
    for (const salvage of [false, true]) {
      const files = new LightFiles();
      for (const [name, base64] of Object.entries(item.files)) {
        files.put(join(DIRECTORY, name), Buffer.from(base64, "base64"));
      }
      const logId = log === undefined ? {} : { logId: logIdOf(log) };
      const error = await tryOpen({ files, salvage, ...logId });
      expect(error).toBeInstanceOf(EsperError);
      const details = { file: join(DIRECTORY, file), offset };
      const texts = { ...(expected && { expected }), ...(found && { found }) };
      expect(error).toMatchObject({ code, details: { ...details, ...texts } });
      expect(String(error)).toContain(`${details.file} cannot be used at byte ${offset}`);
      expect(files.changes).toBe(0);
    }
  });
});

async function temporaryDirectory(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), "esper-wal-"));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  return root;
}

describe("a segment that is no file", () => {
  it.each(["a directory", "a symbolic link"])("is refused when it is %s", async (kind) => {
    const root = await temporaryDirectory();
    const directory = join(root, "wal");
    await mkdir(directory);
    const outside = join(root, "outside");
    await writeFile(outside, (await lightLog([10, 20], true)).bytes(FIRST));
    const segment = join(directory, "0000000000000001.wal");
    if (kind === "a directory") await mkdir(segment);
    else await symlink(outside, segment);
    await writeFile(`${segment}.tmp`, "left by a crash");
    const before = await readdir(directory);
    for (const salvage of [false, true]) {
      await expect(Wal.open({ files: systemFiles, directory, salvage })).rejects.toMatchObject({
        code: "WAL_NOT_A_LOG",
        details: { file: segment, offset: 0, expected: "a file", found: kind },
      });
    }
    expect(await readdir(directory)).toEqual(before);
  });
});

describe("a log with a name", () => {
  it("is opened again by that name and by none", async () => {
    const files = new LightFiles();
    const options = { files, directory: DIRECTORY };
    const logId = logIdOf("run-1/field-reports");
    const wal = await Wal.open({ ...options, logId });
    await wal.append(record(1));
    await wal.close();
    for (const again of [{ ...options, logId }, options]) {
      const opened = await Wal.open(again);
      expect(opened.status.logId).toBe(logIdText(logId));
      expectPrefix(await all(opened));
    }
  });

  it("damaged at its start is still salvaged under its name", async () => {
    const files = new LightFiles();
    const logId = logIdOf("run-1");
    const wal = await Wal.open({ files, directory: DIRECTORY, logId });
    for (const index of [1, 2, 3]) await wal.append(record(index));
    await wal.close();
    const bytes = files.bytes(FIRST);
    bytes[20] = (bytes[20] as number) ^ 1;
    files.put(FIRST, bytes);
    const opened = await Wal.open({ files, directory: DIRECTORY, salvage: true, logId });
    expect(opened.status).toMatchObject({ recovered: 0, logId: logIdText(logId) });
    expect(opened.status.salvage?.movedTo).toEqual([`${FIRST}.broken`]);
  });
});
