/** What people do with a trained model: train on a table, score it, predict, look at the report. */
import fs from "node:fs";
import path from "node:path";
import { beforeAll, expect, it } from "vitest";
import { latest, linesOf, newFolder, run, summaryOf } from "./program.ts";

let runs: string;
let folder: string;

/** A table whose price follows from its columns, so that a small network can learn it. */
function houses(count: number, from: number, target: boolean): string {
  const lines = Array.from({ length: count }, (_, index) => {
    const number = from + index;
    const area = 40 + ((number * 37) % 120);
    const kind = ["flat", "house", "barn"][number % 3]!;
    const price = 2 * area + { flat: 30, house: 60, barn: 0 }[kind]!;
    return target ? `${area},${kind},${price}` : `${area},${kind}`;
  });
  return [target ? "area,kind,price" : "area,kind", ...lines, ""].join("\n");
}

beforeAll(async () => {
  runs = newFolder();
  folder = newFolder();
  fs.writeFileSync(path.join(folder, "train.csv"), houses(240, 0, true));
  fs.writeFileSync(path.join(folder, "new.csv"), houses(30, 1_000, true));
  fs.writeFileSync(path.join(folder, "unknown.csv"), houses(30, 1_000, false));
  const data = ["--data", path.join(folder, "train.csv"), "--target", "price"];
  const trained = await run(runs, ["--json", ...data, "--epochs", "80"]);
  expect(trained.code, trained.stderr).toBe(0);
  expect(summaryOf(trained)).toMatchObject({ task: "regression", scoreName: "R2" });
});

it("evaluate scores the model on rows it has not seen", async () => {
  const file = path.join(folder, "new.csv");
  const ended = await run(runs, ["evaluate", "latest", "--data", file, "--json"]);
  expect(ended.code, ended.stderr).toBe(0);
  const said = JSON.parse(linesOf(ended.stdout).at(-1)!);
  expect(said).toMatchObject({ rows: 30, scoreName: "R2" });
  expect(said.score).toBeGreaterThan(0.9);
});

it("predict writes one row for every row, in the target's own units", async () => {
  const out = path.join(folder, "predictions.csv");
  const file = path.join(folder, "unknown.csv");
  const ended = await run(runs, ["predict", "latest", "--data", file, "--out", out]);
  expect(ended.code, ended.stderr).toBe(0);
  const truth = linesOf(fs.readFileSync(path.join(folder, "new.csv"), "utf8")).slice(1);
  const rows = linesOf(fs.readFileSync(out, "utf8"));
  expect(rows).toHaveLength(truth.length + 1);
  const errors = rows.slice(1).map((row, index) => {
    const predicted = Number(row.split(",").at(-1));
    return Math.abs(predicted - Number(truth[index]!.split(",")[2]));
  });
  expect(errors.reduce((sum, error) => sum + error, 0) / errors.length).toBeLessThan(30);
});

it("report writes one file that needs nothing from outside", async () => {
  const ended = await run(runs, ["report", "latest"]);
  expect(ended.code, ended.stderr).toBe(0);
  const html = fs.readFileSync(path.join(latest(runs), "report.html"), "utf8");
  expect(html).toMatch(/^<!doctype html>/i);
  expect(html).not.toMatch(/\b(src|href|action|data)\s*=\s*["']?(?!#)[a-z./]/i);
  expect(html).not.toMatch(/@import|url\(\s*["']?(?!#|data:)|<script[^>]+src|fetch\(/i);
  expect(html).not.toMatch(/<link\b/i);
});
