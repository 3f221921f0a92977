import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { readSource } from "../../../src/runtime/data/source.ts";
import { storageError } from "../../../src/runtime/durable/files.ts";
import { makeFolder, OPTIONS, refusalOf, writeTemporary } from "./support.ts";

describe("reading a data file", () => {
  it("names the nearest file when there is none of this name", async () => {
    const file = await writeTemporary("orchard.csv", "a,b\n1,2\n");
    const wrong = join(dirname(file), "orchad.csv");
    const error = await refusalOf(readSource(wrong, OPTIONS));
    expect(error.code).toBe("DATA_INVALID");
    expect(error.message).toContain(wrong);
    expect(error.message).toContain("did you mean orchard.csv?");
  });

  it("says that the folder is missing too when it is", async () => {
    const wrong = join(await makeFolder(), "nowhere", "t.csv");
    const error = await refusalOf(readSource(wrong, OPTIONS));
    expect(error.code).toBe("DATA_INVALID");
    expect(error.message).toContain("its folder");
  });

  it("says that a folder is not a file", async () => {
    const folder = join(await makeFolder(), "inner");
    await mkdir(folder);
    const error = await refusalOf(readSource(folder, OPTIONS));
    expect(error.code).toBe("DATA_INVALID");
    expect(error.message).toContain("it is a folder (EISDIR)");
  });

  it("says that the file may not be read", async () => {
    const file = await writeTemporary("t.csv", "a,b\n");
    // A privileged user reads every file, so the refusal of the disk is played.
    const read = async (path: string) => {
      throw storageError(Object.assign(new Error("denied"), { code: "EACCES" }), "read", path);
    };
    const options = { ...OPTIONS, files: { ...OPTIONS.files, read } };
    const error = await refusalOf(readSource(file, options));
    expect(error.code).toBe("DATA_INVALID");
    expect(error.message).toContain("may not read it (EACCES)");
  });

  it("passes on what is not the user's mistake", async () => {
    const file = await writeTemporary("t.csv", "a,b\n");
    const read = async () => {
      throw new TypeError("a bug");
    };
    const options = { ...OPTIONS, files: { ...OPTIONS.files, read } };
    await expect(readSource(file, options)).rejects.toThrow(TypeError);
  });

  it("refuses a file beyond the budget with both figures", async () => {
    const file = await writeTemporary("t.csv", new Uint8Array(3 * 1_048_576).fill(97));
    const error = await refusalOf(readSource(file, { ...OPTIONS, budgetBytes: 1_048_576 }));
    expect(error.code).toBe("DATA_TOO_LARGE");
    expect(error.message).toMatch(/3\.0 MiB.*budget for data is 1\.0 MiB/);
  });

  it("refuses a file that grew beyond the budget after it was measured", async () => {
    const file = await writeTemporary("t.csv", "a,b\n");
    const read = async () => new Uint8Array(200);
    const options = { files: { ...OPTIONS.files, read }, budgetBytes: 100 };
    const error = await refusalOf(readSource(file, options));
    expect(error.code).toBe("DATA_TOO_LARGE");
  });
});
