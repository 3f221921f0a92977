import { describe, expect, it } from "vitest";
import { parseCsv } from "../../../src/runtime/data/csv/parse.ts";
import { loadDataset } from "../../../src/runtime/data/load.ts";
import { loadText, OPTIONS, refusalOf, writeTemporary } from "./support.ts";

function parseText(text: string) {
  return parseCsv("t.csv", new TextEncoder().encode(text));
}

/** Forty rows: a number, a colour, and a class. */
function rows(count = 40): string[] {
  return Array.from({ length: count }, (_, row) => {
    return `${row},${row % 3 === 0 ? "red" : "blue"},${row % 4 === 0 ? "yes" : "no"}`;
  });
}

const TABLE = ["n,colour,y", ...rows()].join("\n");

describe("reading a CSV table", () => {
  it("takes quoted commas, doubled quotes and newlines as RFC 4180 writes them", () => {
    const table = parseText('a,"b ""B"""\r\n"1,5","x\r\ny"\r\n');
    expect(table.header).toEqual(["a", 'b "B"']);
    expect(table.rows).toEqual([["1,5", "x\ny"]]);
  });

  it("ignores a byte order mark and takes all three line endings in one file", () => {
    const table = parseText("\uFEFFa,b\r\n1,2\n3,4\r5,6");
    expect(table.header).toEqual(["a", "b"]);
    expect(table.rows).toEqual([
      ["1", "2"],
      ["3", "4"],
      ["5", "6"],
    ]);
  });

  it("counts lines by the file, over blank lines and quoted line endings", () => {
    const table = parseText('a,b\r\n1,2\r\n\r\n"x\r\ny\r\nz",3\r\n  \r\n4,5\r\n');
    expect(table.lines).toEqual([2, 4, 8]);
  });

  it("keeps a row of empty cells: it is a row of missing values", () => {
    expect(parseText("a,b\n,\n1,2").rows).toEqual([
      ["", ""],
      ["1", "2"],
    ]);
  });
});

describe("columns of a CSV data set", () => {
  it("become numbers scaled by training rows and one place per category", async () => {
    const data = await loadText(TABLE);
    expect(data.task).toBe("classification");
    expect(data.inputShape).toEqual([3]);
    expect(data.input).toMatchObject({
      kind: "table",
      columns: [
        { kind: "numeric", name: "n" },
        { kind: "categorical", name: "colour", values: ["blue", "red"] },
      ],
    });
    const column = (at: number) => [...data.train.x].filter((_, index) => index % 3 === at);
    const mean = column(0).reduce((sum, value) => sum + value, 0) / data.train.count;
    const square = column(0).reduce((sum, value) => sum + value * value, 0) / data.train.count;
    expect(mean).toBeCloseTo(0, 5);
    expect(square).toBeCloseTo(1, 5);
    expect(column(1).every((blue, row) => blue + column(2)[row]! === 1)).toBe(true);
  });

  it("are scaled by training rows only: validation values do not move the scale", async () => {
    const data = await loadText(TABLE);
    const [first] = data.input.kind === "table" ? data.input.columns : [];
    if (first?.kind !== "numeric") throw new Error("the first column is not numeric");
    const raw = (x: Float32Array) =>
      [...x].filter((_, at) => at % 3 === 0).map((value) => value * first.scale + first.mean);
    const training = raw(data.train.x);
    const trainMean = training.reduce((sum, value) => sum + value, 0) / training.length;
    expect(first.mean).toBeCloseTo(trainMean, 4);
    const all = [...training, ...raw(data.validation.x)].map((value) => Math.round(value) + 0);
    expect(all.sort((left, right) => left - right)).toEqual([...Array(40).keys()]);
    expect(Math.abs(first.mean - 19.5)).toBeGreaterThan(0.01);
  });

  it("take missing numbers as the training mean and say how many", async () => {
    const data = await loadText(
      ["n,colour,y", ...rows(), ",red,yes", "NA,red,no", "NaN,blue,no", "?,red,no"].join("\n"),
    );
    expect(data.report.filled).toEqual({ n: 4 });
    const zeros = [...data.train.x, ...data.validation.x].filter(
      (value, at) => at % 3 === 0 && value === 0,
    );
    expect(zeros).toHaveLength(4);
    expect(data.report.notes.join()).toContain("4 missing values became the training mean");
  });

  it("give a missing category its own value", async () => {
    const data = await loadText(["n,colour,y", ...rows(), "1,null,yes", "2,,no"].join("\n"));
    expect(data.input).toMatchObject({ columns: [{}, { values: ["blue", "red", "(missing)"] }] });
    expect(data.report.filled).toEqual({ colour: 2 });
    expect(data.inputShape).toEqual([4]);
  });

  it("that never vary are left out and named", async () => {
    const text = TABLE.split("\n").map((line, at) => `${line},${at === 0 ? "same" : "7"}`);
    const data = await loadText(text.join("\n"));
    expect(data.inputShape).toEqual([3]);
    expect(data.report.notes.join()).toContain('column "same" left out');
  });

  it("that mix numbers and text below 95 % are categories, and the report says so", async () => {
    const text = TABLE.split("\n").map(
      (line, at) => `${line},${at === 0 ? "m" : at % 2 ? "7" : "x"}`,
    );
    const data = await loadText(text.join("\n"));
    expect(data.input).toMatchObject({ columns: [{}, {}, { name: "m", values: ["7", "x"] }] });
    expect(data.report.notes.join()).toContain('"m" mixes 20 numbers with text');
  });
});

describe("the target of a CSV data set", () => {
  it("splits every class by the validation share and reports the balance", async () => {
    const data = await loadText(TABLE);
    expect(data.report.classBalance).toEqual({ no: 30, yes: 10 });
    expect(data.validation.count).toBe(Math.round(30 / 4) + Math.round(10 / 4));
    const yes = data.target.kind === "classes" ? data.target.classes.indexOf("yes") : -1;
    expect([...data.validation.y].filter((label) => label === yes)).toHaveLength(3);
    expect(data.test).toBeNull();
  });

  it("is a regression, scaled by training rows, when it is numeric", async () => {
    const text = ["a,y", ...Array.from({ length: 20 }, (_, row) => `${row},${100 + 3 * row}`)];
    const data = await loadText(text.join("\n"));
    expect(data.task).toBe("regression");
    expect(data.report.classBalance).toBeNull();
    if (data.target.kind !== "number") throw new Error("the target is not a number");
    const { mean, scale } = data.target;
    const back = [...data.train.y, ...data.validation.y].map((y) => Math.round(y * scale + mean));
    expect(back.sort((left, right) => left - right)).toEqual(
      Array.from({ length: 20 }, (_, row) => 100 + 3 * row),
    );
    const sum = data.train.y.reduce((total, y) => total + y, 0);
    expect(sum).toBeCloseTo(0, 4);
  });

  it("leaves out rows that have none and counts them", async () => {
    const data = await loadText(["n,colour,y", ...rows(), "1,red,", "2,red,NA"].join("\n"));
    expect(data.report.dropped).toEqual({ "missing value in y": 2 });
    expect(data.report.rows).toBe(42);
    expect(data.train.count + data.validation.count).toBe(40);
  });

  it("keeps a class of one row in training and says so", async () => {
    const data = await loadText(["n,colour,y", ...rows(), "1,red,rare"].join("\n"));
    expect([...data.validation.y]).not.toContain(1);
    expect([...data.train.y].filter((label) => label === 1)).toHaveLength(1);
    expect(data.report.notes.join()).toContain('class "rare" has one row');
  });

  it("keeps features and answer of a row together", async () => {
    const text = ["a,b,y", ...Array.from({ length: 50 }, (_, row) => `${row},${-row},${row}`)];
    const data = await loadText(text.join("\n"));
    for (const part of [data.train, data.validation]) {
      for (let row = 0; row < part.count; row++) {
        expect(part.x[2 * row]).toBeCloseTo(part.y[row]!, 5);
        expect(part.x[2 * row + 1]).toBeCloseTo(-part.y[row]!, 5);
      }
    }
  });
});

describe("loading a CSV file twice", () => {
  it("gives the same digest for the same seed and another for another seed", async () => {
    const [first, again, other] = await Promise.all([
      loadText(TABLE),
      loadText(TABLE),
      loadText(TABLE, { seed: 2 }),
    ]);
    expect(again.digest).toBe(first.digest);
    expect(again.train.x).toEqual(first.train.x);
    expect(other.digest).not.toBe(first.digest);
  });

  it("gives another digest when one value changed", async () => {
    const changed = TABLE.replace("\n7,", "\n7.001,");
    expect((await loadText(changed)).digest).not.toBe((await loadText(TABLE)).digest);
  });

  it("puts the values on shared memory", async () => {
    const data = await loadText(TABLE);
    for (const part of [data.train, data.validation]) {
      expect(part.x.buffer).toBeInstanceOf(SharedArrayBuffer);
      expect(part.y.buffer).toBeInstanceOf(SharedArrayBuffer);
    }
  });
});

describe("a CSV request that cannot be met", () => {
  it.each([0, 1, -0.5, Number.NaN])("refuses the validation share %s", async (validationShare) => {
    const error = await refusalOf(loadText(TABLE, { validationShare }));
    expect(error.code).toBe("USAGE");
  });

  it("refuses a file whose table would be beyond the budget, before reading it", async () => {
    const file = await writeTemporary("table.csv", TABLE);
    let reads = 0;
    const files = {
      ...OPTIONS.files,
      read: (path: string) => {
        reads++;
        return OPTIONS.files.read(path);
      },
    };
    const request = { kind: "csv", file, target: "y", validationShare: 0.25, seed: 1 } as const;
    const error = await refusalOf(loadDataset(request, { files, budgetBytes: 2 * TABLE.length }));
    expect(error.code).toBe("DATA_TOO_LARGE");
    expect(error.details).toMatchObject({ budgetBytes: 2 * TABLE.length });
    expect(reads).toBe(0);
  });

  it("refuses a table whose categories unfold beyond the budget", async () => {
    const text = ["a,b,c,y"];
    for (let row = 0; row < 2_000; row++) {
      text.push(`k${row % 250},l${row % 249},m${row % 248},${row % 2 ? "yes" : "no"}`);
    }
    const file = await writeTemporary("wide.csv", text.join("\n"));
    const request = { kind: "csv", file, target: "y", validationShare: 0.25, seed: 1 } as const;
    const error = await refusalOf(loadDataset(request, { ...OPTIONS, budgetBytes: 2_000_000 }));
    expect(error.code).toBe("DATA_TOO_LARGE");
    expect(error.message).toContain("2000 rows with 747 features each takes 5.7 MiB");
  });
});
