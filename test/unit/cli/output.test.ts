/** Streams that break while the program writes: the program goes on and is told once. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Breakage, openOutput } from "../../../src/runtime/cli/output.ts";

function scene(code: string | null = null) {
  const written: string[] = [];
  let fail: (error: Error) => void = () => {};
  const broken: Breakage[] = [];
  const output = openOutput(
    {
      write(text, done) {
        written.push(text);
        if (code === null) done();
      },
      on: (_event, listener) => {
        fail = listener;
      },
    },
    (breakage) => broken.push(breakage),
  );
  const breakNow = () => fail(Object.assign(new Error(`write ${code}`), { code }));
  return { output, written, broken, breakNow };
}

test.each(["EPIPE", "ECONNRESET"])("%s means that the reader is gone, told once", (code) => {
  const { output, written, broken, breakNow } = scene(code);
  output.write("one");
  breakNow();
  breakNow();
  output.write("two");
  expect(written).toEqual(["one"]);
  expect(broken).toEqual([{ kind: "reader-gone" }]);
});

test("any other failure is told with its message", () => {
  const { broken, breakNow } = scene("ENOSPC");
  breakNow();
  expect(broken).toEqual([{ kind: "failed", message: "write ENOSPC" }]);
});

test("a broken stream does not keep the program from ending", async () => {
  const { output, breakNow } = scene("EPIPE");
  breakNow();
  await output.drained();
});

test("drained waits for what was written", async () => {
  const { output, written } = scene();
  output.write("last line");
  await output.drained();
  expect(written).toEqual(["last line", ""]);
});

test("a real stream whose reader leaves is noticed, and writing goes on without harm", async () => {
  const folder = mkdtempSync(join(tmpdir(), "esper-output-"));
  const path = join(folder, "reader");
  const server = createServer((reader) => reader.once("data", () => reader.destroy()));
  await once(server.listen(path), "listening");
  const stream = connect(path);
  await once(stream, "connect");
  let tell: (breakage: Breakage) => void = () => {};
  const told = new Promise<Breakage>((resolve) => {
    tell = resolve;
  });
  const output = openOutput(stream, tell);
  const writing = setInterval(() => output.write("line\n"), 1);
  expect(await told).toEqual({ kind: "reader-gone" });
  output.write("still here");
  await output.drained();
  clearInterval(writing);
  server.close();
  rmSync(folder, { recursive: true });
});

test("a stream that closed itself without an error is noticed by the next write", async () => {
  const closed = Object.assign(new Error("destroyed"), { code: "ERR_STREAM_DESTROYED" });
  const told: Breakage[] = [];
  const stream = {
    write: (_text: string, done: (error?: Error | null) => void) =>
      queueMicrotask(() => done(closed)),
    on: () => undefined,
  };
  const output = openOutput(stream, (breakage) => told.push(breakage));
  output.write("one");
  output.write("two");
  await output.drained();
  expect(told).toEqual([{ kind: "reader-gone" }]);
});

test("without a terminal the size is 80 x 24", () => {
  const { output } = scene();
  expect([output.isTTY, output.columns(), output.rows()]).toEqual([false, 80, 24]);
});
