/**
 * Writes the example tables beside this file: `node examples/data/make-examples.mjs`. The data is
 * invented, the same on every run, and shaped so that a straight line explains little of it.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const ORCHARD_ROWS = 900;
const KILN_ROWS = 800;
const SOILS = ["clay, heavy", "clay, light", 'loam "black"', "sand"];
const RIPENING = ["early", "middle", "late"];
const GLAZES = ["ash", "celadon", "tenmoku"];

/** Uniform numbers in [0, 1) from a 32-bit seed: SplitMix32. */
function createUniform(seed) {
  let state = seed;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let z = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** Roughly normal: the sum of twelve uniform numbers less six. */
function drawNormal(uniform) {
  let sum = -6;
  for (let draw = 0; draw < 12; draw++) sum += uniform();
  return sum;
}

function pick(uniform, items) {
  return items[Math.floor(uniform() * items.length)];
}

/** The cell, or a sign for a missing value in `share` of the rows. */
function maybeMissing(uniform, share, cell, sign) {
  return uniform() < share ? sign : cell;
}

function quoteCell(cell) {
  return /[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

function toCsv(header, rows) {
  const lines = [header, ...rows].map((row) =>
    row.map((cell) => quoteCell(String(cell))).join(","),
  );
  return `${lines.join("\n")}\n`;
}

/**
 * Classification: trees ripen by their distance from a pond in the middle, in four bands of
 * which the outermost is early again; on sand the bands are closer to the water. Rain is noise.
 */
export function makeOrchard() {
  const uniform = createUniform(20_001);
  const rows = Array.from({ length: ORCHARD_ROWS }, () => {
    const soil = pick(uniform, SOILS);
    const reach = soil === "sand" ? 0.7 : 1;
    const band = Math.floor(uniform() * 4);
    const distance = (25 + 40 * band + 4 * drawNormal(uniform)) * reach;
    const angle = 2 * Math.PI * uniform();
    return [
      (distance * Math.cos(angle)).toFixed(1),
      (distance * Math.sin(angle)).toFixed(1),
      maybeMissing(uniform, 0.03, (620 + 45 * drawNormal(uniform)).toFixed(0), "NA"),
      maybeMissing(uniform, 0.02, soil, ""),
      maybeMissing(uniform, 0.005, RIPENING[band % 3], ""),
    ];
  });
  return toCsv(["east_m", "north_m", "rain_mm", "soil", "ripens"], rows);
}

/**
 * Regression: the strength of a fired pot swings with heat and time together, and the glaze decides
 * in which direction. The position in the kiln is noise.
 */
export function makeKiln() {
  const uniform = createUniform(20_002);
  const rows = Array.from({ length: KILN_ROWS }, () => {
    const glaze = pick(uniform, GLAZES);
    const heat = 2 * uniform() - 1;
    const time = 2 * uniform() - 1;
    const turn = glaze === "tenmoku" ? -1 : 1;
    const swing = Math.sin(3.9 * heat) * Math.cos(3.1 * time) * turn + 0.8 * heat * time;
    const strength = 48 + 14 * swing + 1.2 * drawNormal(uniform);
    return [
      (1180 + 110 * heat).toFixed(1),
      maybeMissing(uniform, 0.01, (11 + 4 * time).toFixed(2), "?"),
      pick(uniform, ["top", "middle", "bottom"]),
      glaze,
      strength.toFixed(2),
    ];
  });
  return toCsv(["heat_c", "hours", "shelf", "glaze", "strength_mpa"], rows);
}

export const EXAMPLES = { "orchard.csv": makeOrchard, "kiln.csv": makeKiln };

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [name, make] of Object.entries(EXAMPLES)) {
    writeFileSync(new URL(name, import.meta.url), make());
  }
}
