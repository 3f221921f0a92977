/**
 * One way to write every kind of number, for the terminal and the report alike. A value that is
 * not a finite number is always written `n/a`, never hidden and never replaced.
 */

/** What stands in place of a number that is not there. */
export const NOT_AVAILABLE = "n/a";

/** Words whose numbers are shares of one and therefore read best as per cent. */
const SHARES: ReadonlySet<string> = new Set(["gain", "impact", "share"]);

/** Four significant digits, without zeros that say nothing; very large and small as powers. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return NOT_AVAILABLE;
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e7 || size < 1e-4) return value.toExponential(2).replace(/\.?0+e/, "e");
  if (Number.isInteger(value)) return formatCount(value);
  return size >= 1_000 ? formatCount(value) : String(Number(value.toPrecision(4)));
}

/** A loss: always the same number of digits, so that lines align. */
export function formatLoss(value: number): string {
  if (!Number.isFinite(value)) return NOT_AVAILABLE;
  const size = Math.abs(value);
  if (size !== 0 && size < 1e-3) return value.toExponential(1);
  if (size >= 1e5) return value.toExponential(2);
  return size >= 1_000 ? value.toFixed(0) : value.toFixed(size >= 10 ? 2 : 4);
}

/** A whole number with thousands separated by commas. */
export function formatCount(value: number): string {
  if (!Number.isFinite(value)) return NOT_AVAILABLE;
  const digits = String(Math.abs(Math.round(value))).replace(/\B(?=(\d{3})+$)/g, ",");
  return value <= -0.5 ? `-${digits}` : digits;
}

/** A share of one as per cent with up to one digit after the point, e.g. `31.7 %`. */
export function formatPercent(share: number): string {
  if (!Number.isFinite(share)) return NOT_AVAILABLE;
  return `${Number((share * 100).toFixed(1))} %`;
}

/** A score: accuracy as per cent with one fixed digit, R2 with four. */
export function formatScore(scoreName: "accuracy" | "R2", score: number): string {
  if (!Number.isFinite(score)) return NOT_AVAILABLE;
  return scoreName === "accuracy" ? `${(score * 100).toFixed(1)} %` : score.toFixed(4);
}

/** The difference of two scores with its sign: percentage points, or plain for R2. */
export function formatScoreChange(scoreName: "accuracy" | "R2", change: number): string {
  if (!Number.isFinite(change)) return NOT_AVAILABLE;
  const text = scoreName === "accuracy" ? (change * 100).toFixed(1) : change.toFixed(4);
  const signed = Number(text) > 0 ? `+${text}` : String(text).replace(/^-(0(?:\.0+)?)$/, "$1");
  return scoreName === "accuracy" ? `${signed} points` : signed;
}

/** Seconds as people say them: `0.4 s`, `12.0 s`, `3 min 20 s`, `2 h 05 min`. */
export function formatDuration(seconds: number, digits: 0 | 1 = 1): string {
  if (!Number.isFinite(seconds) || seconds < 0) return NOT_AVAILABLE;
  const whole = Math.round(seconds);
  if (whole < 60) return `${seconds.toFixed(digits)} s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${pad(whole % 60)} s`;
  const minutes = Math.round(whole / 60);
  return `${formatCount(Math.floor(minutes / 60))} h ${pad(minutes % 60)} min`;
}

const pad = (value: number): string => String(value).padStart(2, "0");

/** How much a network grew: `nothing added`, `31.7 % added`, `2.99 times the host`. */
export function formatGrowth(hostParameters: number, totalParameters: number): string {
  const ratio = totalParameters / hostParameters;
  if (ratio === 1) return "nothing added";
  if (ratio < 2) return `${formatPercent(ratio - 1)} added`;
  return `${formatNumber(Number(ratio.toPrecision(3)))} times the host`;
}

/** `1 row`, `2 rows`, `2 classes`. */
export function plural(count: number, noun: string): string {
  const many = noun.endsWith("s") ? `${noun}es` : `${noun}s`;
  return `${formatCount(count)} ${count === 1 ? noun : many}`;
}

/** `shadowLoss`, `shadow_loss` and `SHADOW_LOSS` all become `shadow loss`. */
export function toWords(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replace(/[_\-\s]+/g, " ")
    .trim()
    .toLowerCase();
}

/** A measured number by its name: shares as per cent, everything else as a number. */
export function formatNamed(name: string, value: number): string {
  const last = toWords(name).split(" ").at(-1) ?? "";
  return SHARES.has(last) ? formatPercent(value) : formatNumber(value);
}
