import { describe, expect, it } from "vitest";
import { createObserver, type ObserverOptions } from "../../../src/runtime/cli/ui/observer.ts";
import { displayWidth, stripColour } from "../../../src/runtime/cli/ui/width.ts";
import { createFakeClock } from "./fake-clock.ts";
import * as run from "./run-events.ts";
import { Terminal } from "./terminal.ts";

function setUp(mode: ObserverOptions["mode"], overrides: Partial<ObserverOptions> = {}) {
  const clock = createFakeClock();
  const terminal = new Terminal(overrides.columns?.() ?? 100);
  const observer = createObserver({
    mode,
    write: terminal.write,
    columns: () => 100,
    rows: () => 30,
    colour: false,
    clock,
    ...overrides,
  });
  return { clock, terminal, observer };
}

const RESTART = { kind: "restart", actor: "tamiyo", starts: 2, reason: "killed" } as const;

describe("plain lines", () => {
  it("tell the data, the set-up and who is who before training", () => {
    const { terminal, observer } = setUp("plain", { columns: () => 400 });
    observer.on(run.started());
    expect(terminal.lines).toEqual([
      "Esper runtime  run 20260101-120000-spirals-ab12",
      "  data       spirals: 600 rows from builtin generator, 2 features, 2 classes; " +
        "400 training, 100 validation, 100 test rows",
      "  balance    inner 50 % (300), outer 50 % (300)",
      "  host       mlp 2-16-16-2, 354 parameters",
      "  engine     wasm on topology local-cpu",
      "  plan       at most 60 epochs, seed 42",
      "  signing    signing secret generated for this run",
      "  run folder runs/20260101-120000-spirals-ab12",
      "  roles      Tolaria (trainer), Tamiyo (controller), Kasmina (grower), " +
        "Urza (blueprint library)",
      "",
      "",
    ]);
  });

  it("tell what was wrong with the data, and stay short with many classes", () => {
    const { terminal, observer } = setUp("plain", { columns: () => 400 });
    const { dataset } = run.started();
    const classBalance = Object.fromEntries(
      Array.from({ length: 30 }, (_, index) => [`class ${index}`, 30 - index]),
    );
    const report = {
      ...dataset.report,
      dropped: { "missing target": 3, "not a number in age": 1 },
      filled: { age: 12 },
      classBalance,
      notes: ["column id is left out"],
    };
    observer.on(run.started({ dataset: { ...dataset, report }, secretGenerated: false }));
    const { text } = terminal;
    expect(text).toContain("  left out   4 rows: missing target (3), not a number in age (1)");
    expect(text).toContain("  filled in  12 missing values: age (12)");
    expect(text).toContain("class 7 4.9 % (23) and 22 more");
    expect(text).not.toContain("class 8 ");
    expect(text).toContain("  note       column id is left out");
    expect(text).not.toContain("signing");
  });

  it("say from where a run is resumed", () => {
    const { terminal, observer } = setUp("plain");
    observer.on(run.started({ resumedFromStep: 1_480 }));
    expect(terminal.lines[0]).toBe(
      "Esper runtime  run 20260101-120000-spirals-ab12, resumed from step 1,480",
    );
  });

  it("are one aligned line an epoch, and none for progress", () => {
    const { terminal, observer } = setUp("plain");
    observer.on(run.started());
    const { length } = terminal.raw;
    observer.on(run.epoch({ point: run.point({ epoch: 9, trainingScore: 1 }) }));
    observer.on(run.progress());
    observer.on(run.epoch({ seeds: [run.seedState()], totalParameters: 706 }));
    const [first = "", second = "", ...rest] = terminal.raw.slice(length).split("\n");
    expect(rest).toEqual([""]);
    expect(first).toBe(
      "epoch  9/60  loss 0.4120 (val 0.4552)  accuracy 100.0 % (val  85.0 %)  " +
        "354 parameters    12,400/s",
    );
    expect(second).toMatch(/^epoch 12\/60 .*706 parameters {4}12,400\/s {2}1 seed growing$/);
    expect(first.indexOf("loss")).toBe(second.indexOf("loss"));
    expect(first.indexOf("parameters")).toBe(second.indexOf("parameters"));
  });

  it("show R2 for regression", () => {
    const { terminal, observer } = setUp("plain");
    const { dataset } = run.started();
    observer.on(run.started({ dataset: { ...dataset, task: "regression" } }));
    observer.on(run.epoch());
    expect(terminal.text).toContain("a number to predict");
    expect(terminal.text).toContain("R2  0.8750 (val  0.8500)");
  });

  it("show a seed's move with the gate's numbers", () => {
    const { terminal, observer } = setUp("plain", { columns: () => 400 });
    observer.on(run.seed());
    expect(terminal.lines[0]).toBe(
      "  + seed-3 gated_feedforward at hidden1  TRAINING -> BLENDING  gate G2 stability passed: " +
        "shadow loss 0.412 < host loss 0.603 (gain 31.7 %, needed 2 %; z 8.44, needed 2)  step 480",
    );
  });

  it("say why a seed was culled, with or without a gate", () => {
    const { terminal, observer } = setUp("plain", { columns: () => 400 });
    const reason = "the seed does not lower the loss enough";
    observer.on(run.seed({ to: "CULLED", reason, gate: { ...run.G2, passed: false, reason } }));
    observer.on(run.seed({ to: "CULLED", reason: "cull_command", gate: null }));
    const [gated = "", commanded = ""] = terminal.lines;
    expect(gated).toContain("- seed-3 gated_feedforward at hidden1  TRAINING -> CULLED");
    expect(gated).toContain(`gate G2 stability failed, ${reason}: shadow loss`);
    expect(gated.split(reason)).toHaveLength(2);
    expect(commanded).toContain("TRAINING -> CULLED  because: cull command  step 480");
  });

  it("mark a gate that failed but was not enforced", () => {
    const { terminal, observer } = setUp("plain", { columns: () => 400 });
    const gate = { ...run.G2, passed: false, reason: "chance" };
    observer.on(run.seed({ reason: "chance", gate }));
    expect(terminal.text).toContain("(G2 stability is not enforced in this run)");
  });

  it("leave the moves out that only tidy up", () => {
    const { terminal, observer } = setUp("plain");
    for (const to of ["TRAINING", "SHADOWING", "PROBATIONARY", "EMBARGOED", "DORMANT"] as const) {
      observer.on(run.seed({ to }));
    }
    expect(terminal.raw).toBe("");
  });

  it("tell restarts and notices, each name explained once", () => {
    const { terminal, observer } = setUp("plain");
    observer.on(RESTART);
    observer.on(RESTART);
    observer.on({ kind: "notice", level: "WARNING", message: "a decision came late" });
    observer.on({ kind: "notice", level: "INFO", message: "checkpoint written" });
    expect(terminal.lines).toEqual([
      "  ! Tamiyo (controller) was restarted (start 2): killed",
      "  ! Tamiyo was restarted (start 2): killed",
      "  ! warning: a decision came late",
      "  i checkpoint written",
      "",
    ]);
  });

  it("cannot be used by the data to control the terminal", () => {
    const { terminal, observer } = setUp("plain");
    const { dataset } = run.started();
    const classBalance = { "\u001b[2Jevil": 1, good: 1 };
    const report = { ...dataset.report, classBalance, notes: ["\u001b]0;title\u0007"] };
    observer.on(run.started({ dataset: { ...dataset, name: "a\nb", report } }));
    observer.on({ kind: "notice", level: "ERROR", message: "\u001b[31mred" });
    const acting = [...terminal.raw].filter((character) => /\p{Cc}/u.test(character));
    expect(new Set(acting)).toEqual(new Set(["\n"]));
    expect(terminal.text).toContain("\\u{1b}[2Jevil 50 %");
  });

  it("are coloured only when asked", () => {
    const colour = setUp("plain", { colour: true });
    const plain = setUp("plain");
    for (const { observer } of [colour, plain]) {
      observer.on(run.started());
      observer.on(run.seed());
      observer.on({ kind: "finished", summary: run.summary() });
    }
    expect(plain.terminal.raw).not.toContain("\u001b");
    expect(colour.terminal.raw).toContain("\u001b[");
    expect(stripColour(colour.terminal.raw)).toBe(plain.terminal.raw);
  });
});

describe("json lines", () => {
  it("are the events themselves, without progress", () => {
    const { terminal, observer } = setUp("json", { columns: () => 4_000 });
    const events = [
      run.started(),
      run.progress(),
      run.epoch(),
      run.seed(),
      RESTART,
      { kind: "finished", summary: run.summary() } as const,
    ];
    for (const event of events) observer.on(event);
    observer.close();
    const read = terminal.raw
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(read).toEqual(events.filter(({ kind }) => kind !== "progress"));
  });
});

describe("quiet", () => {
  it("says nothing but the summary", () => {
    const { terminal, observer } = setUp("quiet");
    observer.on(run.started());
    observer.on(run.epoch());
    observer.on(run.seed());
    observer.on(RESTART);
    expect(terminal.raw).toBe("");
    observer.on({ kind: "finished", summary: run.summary() });
    expect(terminal.text).toContain("Training complete: 60 epochs, 2,400 steps in 14.2 s");
  });
});

describe("the live frame", () => {
  function train(columns: number) {
    const screen = setUp("tty", { columns: () => columns });
    const { clock, observer } = screen;
    observer.on(run.started());
    for (let epoch = 1; epoch <= 12; epoch++) {
      observer.on(run.progress({ epoch, step: epoch * 40, epochStep: 40 }));
      const point = run.point({ epoch, step: epoch * 40, validationLoss: 1 / epoch });
      const seeds = epoch < 6 ? [] : [run.seedState(), run.seedState({ seedId: "seed-4" })];
      observer.on(run.epoch({ point, seeds, totalParameters: 1_058 }));
      clock.advance(500);
    }
    observer.on(run.seed());
    observer.on(run.progress());
    clock.advance(500);
    return screen;
  }

  it.each([60, 80, 100, 137, 200])("fits %i columns", (columns) => {
    const { terminal } = train(columns);
    expect(Math.max(...terminal.lines.map(displayWidth))).toBeLessThan(columns);
    expect(terminal.text).toMatch(/^epoch +13\/60 /m);
    expect(terminal.text).toMatch(/^loss +training 0\.4120 \(now 0\.3911\) +validation 0\.0833/m);
    expect(terminal.text).toMatch(/^accuracy +training 87\.5 % +validation 85\.0 %/m);
    expect(terminal.text).toMatch(/12,400 samples\/s +354 -> 1,058 parameters/);
    expect(terminal.text).toMatch(/^ {2}seed-3 gated.* BLENDING .*[█░]+ +alpha 0\.00/m);
    expect(terminal.text).toMatch(/^ {2}seed-4 bp-17.* BLENDING .*[█░]+ +alpha 0\.50/m);
  });

  it("stands once on the screen, below all permanent lines", () => {
    const { terminal } = train(100);
    expect(terminal.lines.filter((line) => line.startsWith("loss "))).toHaveLength(1);
    const move = terminal.lines.findIndex((line) => line.includes("TRAINING -> BLENDING"));
    const frame = terminal.lines.findIndex((line) => line.startsWith("epoch "));
    expect(move).toBeGreaterThan(0);
    expect(frame).toBeGreaterThan(move);
  });

  it("estimates the time that is left from the pace so far", () => {
    const { terminal } = train(100);
    // Drawn after 6.1 s, in which 11.25 of 60 epochs were seen: 47.75 are left.
    expect(terminal.text).toMatch(/ 6 s, at most 26 s left/);
  });

  it("is redrawn at most ten times a second", () => {
    const { clock, terminal, observer } = setUp("tty");
    observer.on(run.started());
    const { writes } = terminal;
    for (let step = 1; step <= 2_000; step++) {
      observer.on(run.progress({ step }));
      clock.advance(1);
    }
    expect(terminal.writes - writes).toBeLessThanOrEqual(20);
    expect(terminal.writes - writes).toBeGreaterThanOrEqual(19);
  });

  it("says how many seeds do not fit the window's height", () => {
    const { clock, terminal, observer } = setUp("tty", { rows: () => 9 });
    observer.on(run.started());
    const seeds = Array.from({ length: 6 }, (_, index) =>
      run.seedState({ seedId: `seed-${index}` }),
    );
    observer.on(run.epoch({ seeds }));
    clock.advance(200);
    expect(terminal.text).toContain("seed-1");
    expect(terminal.text).not.toContain("seed-2");
    expect(terminal.text).toContain("and 4 more seeds");
  });

  it("drops epochs that a rewound trainer tells again", () => {
    const { clock, terminal, observer } = setUp("tty");
    observer.on(run.started());
    for (const step of [40, 80, 120, 80, 120]) {
      observer.on(run.epoch({ point: run.point({ step, validationLoss: step }) }));
      clock.advance(200);
    }
    expect(terminal.text).toMatch(/^loss .* ▁▅█$/m);
  });

  it("plots the whole run in little, however many epochs there were", () => {
    const { clock, terminal, observer } = setUp("tty", { columns: () => 120 });
    observer.on(run.started({ epochs: 4_000 }));
    for (let epoch = 1; epoch <= 4_000; epoch++) {
      const point = run.point({ epoch, step: epoch, validationLoss: epoch <= 2_000 ? 1 : 0 });
      observer.on(run.epoch({ point }));
    }
    clock.advance(200);
    const plot = /^loss .* {2}(\S+)$/m.exec(terminal.text)?.[1] ?? "";
    expect(plot).toMatch(/^█{20,}[▁-█]?▁{20,}$/);
    expect(terminal.text).toMatch(/^accuracy .* ▁{40,}$/m);
    expect(Math.abs(plot.lastIndexOf("█") / plot.length - 0.5)).toBeLessThan(0.05);
  });

  it("makes room for the summary and gives the cursor back at the end", () => {
    const { terminal, observer } = train(100);
    expect(terminal.cursorVisible).toBe(false);
    observer.on({ kind: "finished", summary: run.summary() });
    expect(terminal.cursorVisible).toBe(true);
    expect(terminal.text).not.toContain("samples/s");
    expect(terminal.text).toContain("Training complete");
    observer.close();
    expect(terminal.text.split("Training complete")).toHaveLength(2);
  });

  it("stays standing and gives the cursor back when the run fails", () => {
    const { terminal, observer } = train(100);
    observer.close();
    expect(terminal.cursorVisible).toBe(true);
    expect(terminal.text).toMatch(/^epoch +13\/60/m);
  });

  it("leaves nothing behind when the run never began", () => {
    const { terminal, observer } = setUp("tty");
    observer.on({ kind: "notice", level: "WARNING", message: "just so you know" });
    observer.close();
    expect(terminal.lines).toEqual(["  ! warning: just so you know", ""]);
    expect(terminal.cursorVisible).toBe(true);
  });
});
