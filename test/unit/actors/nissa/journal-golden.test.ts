/** The collector's journal, as it was once written: read for ever, and written as it ever was. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Collector } from "../../../../src/actors/nissa/collector.ts";
import { encodeEntry, replay } from "../../../../src/actors/nissa/journal.ts";
import { MemoryFiles } from "../../../fixtures/memory-files.ts";

interface Golden {
  readonly files: Readonly<Record<string, readonly string[]>>;
  readonly state: unknown;
}

const url = new URL("../../../golden/nissa-journal-v1.json", import.meta.url);
const golden = JSON.parse(readFileSync(url, "utf8")) as Golden;
const linesOf = (name: string): readonly string[] => golden.files[name] ?? [];

/** Work that writes an entry of every kind; the disk fails while a rewind is under way. */
async function written(): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  const collector = await Collector.open(files, "/run");
  const event = { name: "seed.stage", level: "INFO", source: "kasmina", timeMs: 5 } as const;
  const metric = { name: "x", kind: "counter", source: "kasmina", value: 1 } as const;
  const batch = {
    source: "1.device.1",
    events: [{ ...event, attributes: { seed: 1 } }],
    metrics: [{ ...metric, attributes: {} }],
  };
  await collector.ingest({ ...batch, sequence: 1 }, 77);
  await collector.record(1, 1, [{ step: 1 }, { step: 2 }]);
  await collector.ingest({ ...batch, sequence: 2 }, 78);
  files.fault = (operation) => (operation === "rename" ? "EIO" : null);
  await expect(collector.rewind(1, 2)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  files.fault = () => null;
  await collector.close();
  return files;
}

describe("the journal of the collector", () => {
  it("is written as it ever was", async () => {
    const files = await written();
    for (const name of Object.keys(golden.files)) {
      const text = new TextDecoder().decode(files.bytes(`/run/${name}`));
      expect([name, text.split("\n").slice(0, -1)]).toEqual([name, linesOf(name)]);
    }
  });

  it("is read as it ever was, with an entry of every kind in it", () => {
    const lines = linesOf("nissa.journal");
    const kinds = new Set(lines.map((line) => (JSON.parse(line) as { kind: string }).kind));
    expect([...kinds].sort()).toEqual(["ingest", "record", "rewind", "state"]);
    const { ledgered, damagedAt } = replay(lines);
    expect(damagedAt).toBeNull();
    expect(JSON.parse(encodeEntry(ledgered.state()))).toEqual(golden.state);
  });

  it("makes a collector go on where it was, and finish what it had begun", async () => {
    const files = new MemoryFiles();
    for (const [name, lines] of Object.entries(golden.files)) {
      files.putBytes(`/run/${name}`, new TextEncoder().encode(`${lines.join("\n")}\n`));
    }
    const collector = await Collector.open(files, "/run");
    expect(collector.repairs).toEqual([]);
    const nothing = { source: "1.device.1", events: [], metrics: [] };
    expect(await collector.ingest({ ...nothing, sequence: 1 }, 0)).toBe(2);
    expect(await collector.rewind(1, 2)).toBe(0);
    await collector.close();
    expect(new TextDecoder().decode(files.bytes("/run/metrics.jsonl"))).toBe('{"step":1}\n');
  });
});
