/** Rows reach the collector in order and once, also when a batch has to be sent again. */
import { expect, test } from "vitest";
import { RowSink } from "../../../../src/actors/tolaria/row-sink.ts";
import type { MetricRow } from "../../../../src/protocols/actors/durable.ts";

const BATCH_ROWS = 64;

function rows(count: number): MetricRow[] {
  return Array.from({ length: count }, () => ({ kind: "epoch" }) as unknown as MetricRow);
}

test("a batch does not overtake one whose confirmation is still missing", async () => {
  const confirm: (() => void)[] = [];
  const sent: number[] = [];
  const sink = new RowSink((batch) => {
    sent.push(batch);
    return new Promise<void>((resolve) => confirm.push(resolve));
  });
  await sink.add(rows(BATCH_ROWS));
  await sink.add(rows(BATCH_ROWS));
  const flushed = sink.flush();
  await new Promise((resolve) => setImmediate(resolve));
  expect(sent).toEqual([1]);
  confirm[0]?.();
  await new Promise((resolve) => setImmediate(resolve));
  expect(sent).toEqual([1, 2]);
  confirm[1]?.();
  await flushed;
});

test("after a refusal nothing more is sent, and the refusal is told", async () => {
  const sent: number[] = [];
  const sink = new RowSink((batch) => {
    sent.push(batch);
    return Promise.reject(new Error("disk full"));
  });
  await sink.add(rows(BATCH_ROWS));
  await sink.add(rows(BATCH_ROWS));
  await expect(sink.flush()).rejects.toThrow("disk full");
  expect(sent).toEqual([1]);
});
