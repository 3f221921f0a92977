/** The report's tables: seeds with their gates, events, the data, the configuration. */
import type { DataReport } from "../../../protocols/dataset.ts";
import type { SeedStageName } from "../../../protocols/leyline/enums.ts";
import type { TelemetryEvent } from "../../../protocols/leyline/telemetry.ts";
import {
  formatCount,
  formatDuration,
  formatNumber,
  formatPercent,
  plural,
  toWords,
} from "../ui/format.ts";
import { gateVerdict } from "../ui/gate-text.ts";
import { createGlossary, type Glossary } from "../ui/glossary.ts";
import type { RunHistory, SeedHistory } from "./history.ts";
import { element, type Markup, markup, type Piece, section } from "./markup.ts";

const SHOWN_SEEDS = 200;
const SHOWN_EVENTS = 200;
const SHOWN_CLASSES = 20;
const SHOWN_ENTRIES = 300;
const SHOWN_MISSES = 12;
const MAX_DEPTH = 6;

/** Events of level INFO that a reader looks for all the same. */
const NOTABLE = /restart|rewind|resume|fault|kill|gave_up|quarantin|refus|reject/i;
const SECRET = /secret|password|passphrase|credential|api_?key/i;

/** After a cull a seed is taken apart; its fate is still that it was culled. */
const TAKEN_APART: ReadonlySet<SeedStageName> = new Set([
  "CULLED",
  "EMBARGOED",
  "RESETTING",
  "DORMANT",
]);

/** How a seed ended, in one word. */
export function fateOf(seed: SeedHistory): "fossilized" | "culled" | "growing" {
  const last = seed.moves.at(-1)?.to ?? "UNKNOWN";
  if (last === "FOSSILIZED" || last === "TERMINATED") return "fossilized";
  return TAKEN_APART.has(last) ? "culled" : "growing";
}

/** One row a seed with the verdict of every gate; null where no seed was. */
export function seedTable(history: RunHistory): Markup | null {
  const { seeds } = history;
  if (seeds.length === 0) return null;
  const rows = seeds.slice(0, SHOWN_SEEDS).map(seedRow);
  const head = ["Seed", "Blueprint", "Site", "#Parameters", "#Germinated", "Fate", "Gates"];
  return section("Seeds", table(head, rows), moreRows(seeds.length, SHOWN_SEEDS, "seed"));
}

function seedRow(seed: SeedHistory): Markup {
  const fate = fateOf(seed);
  const germinated = seed.moves.find((move) => move.to === "GERMINATED")?.step;
  const settled = seed.moves.find((move) => move.to === "FOSSILIZED" || move.to === "CULLED");
  const when = settled === undefined ? "" : `at step ${formatCount(settled.step)}`;
  const verdicts = seed.moves.flatMap((move) => {
    if (move.gate === null) return [];
    const style = move.gate.passed ? "pass" : "fail";
    const stages = `${move.from} to ${move.to}, step ${formatCount(move.step)}`;
    const text = `${gateVerdict(move.gate)} `;
    return [element("li", { class: style }, text, element("small", {}, stages))];
  });
  const told = settled?.gate === null && settled.reason !== "" ? toWords(settled.reason) : "";
  const count = (value: number | null | undefined): string => formatCount(value ?? Number.NaN);
  return element(
    "tr",
    {},
    cell("strong id", seed.seedId),
    cell("id", seed.blueprintName),
    cell("id", seed.siteId),
    cell("number", count(seed.parameters)),
    cell("number", count(germinated)),
    cell("id", badge(fate), element("small", {}, when)),
    cell("wide", told, element("ul", { class: "gates" }, verdicts)),
  );
}

/** Everything above INFO, and the informative events that tell of trouble. */
export function notableEvents(events: readonly TelemetryEvent[]): readonly TelemetryEvent[] {
  return events
    .filter((event) => event.level !== "INFO" || NOTABLE.test(event.name))
    .sort((left, right) => left.timeMs - right.timeMs);
}

/** Restarts, warnings and worse, with seconds since the first event. */
export function eventTable(events: readonly TelemetryEvent[], history: RunHistory): Markup {
  const title = "Restarts and notable events";
  const notable = notableEvents(events);
  const missed = missedDecisions(history.missedDecisions);
  if (notable.length === 0) {
    const all = plural(events.length, "event");
    const text =
      events.length === 0
        ? "No events are on record for this run."
        : `Nothing out of the ordinary was recorded among ${all}.`;
    return section(title, missed, element("p", { class: "empty" }, text));
  }
  const glossary = createGlossary();
  const times = events.map(({ timeMs }) => timeMs);
  const startMs = times.reduce((low, timeMs) => Math.min(low, timeMs), Number.POSITIVE_INFINITY);
  const rows = notable.slice(0, SHOWN_EVENTS).map((event) => eventRow(event, startMs, glossary));
  const head = ["#After", "Level", "Event", "Source", "Details"];
  return section(title, missed, table(head, rows), moreRows(notable.length, SHOWN_EVENTS, "event"));
}

function missedDecisions(steps: readonly number[]): Markup | null {
  if (steps.length === 0) return null;
  const shown = steps.slice(0, SHOWN_MISSES).map(formatCount).join(", ");
  const more = steps.length > SHOWN_MISSES ? " and more" : "";
  const late = plural(steps.length, "decision");
  const text = `${late} came after the deadline: steps ${shown}${more}.`;
  return element("p", {}, text);
}

function eventRow(event: TelemetryEvent, startMs: number, glossary: Glossary): Markup {
  const details = Object.entries(event.attributes)
    .map(([name, value]) => `${toWords(name)}: ${hide(name, formatValue(value))}`)
    .join("; ");
  return element(
    "tr",
    {},
    cell("number", formatDuration((event.timeMs - startMs) / 1_000)),
    cell("", badge(event.level.toLowerCase())),
    cell("strong id", event.name),
    cell("id", glossary.explain(event.source)),
    cell("", glossary.explain(details)),
  );
}

/** What was read, what was left out and filled in, and how the classes weigh. */
export function dataSection(data: DataReport): Markup {
  const rows: [string, Piece][] = [
    ["source", data.source],
    ["rows", formatCount(data.rows)],
    ["features", formatCount(data.features)],
    ["left out", counts(data.dropped)],
    ["filled in", counts(data.filled)],
  ];
  const notes = data.notes.map((note) => element("li", {}, note));
  return section(
    "Data",
    definitions(rows),
    data.classBalance === null ? null : balance(data.classBalance),
    notes.length === 0 ? null : element("ul", { class: "notes" }, notes),
  );
}

function counts(entries: Readonly<Record<string, number>>): string {
  const list = Object.entries(entries).filter(([, count]) => count > 0);
  if (list.length === 0) return "nothing";
  const shown = list
    .slice(0, SHOWN_CLASSES)
    .map(([name, count]) => `${name} (${formatCount(count)})`);
  const more = list.length - SHOWN_CLASSES;
  return `${shown.join(", ")}${more > 0 ? ` and ${formatCount(more)} more` : ""}`;
}

function balance(classes: Readonly<Record<string, number>>): Markup {
  const list = Object.entries(classes).sort(([, left], [, right]) => right - left);
  const all = list.reduce((sum, [, count]) => sum + count, 0);
  const rows = list.slice(0, SHOWN_CLASSES).map(([name, count]) => {
    const share = all === 0 ? 0 : count / all;
    return element(
      "tr",
      {},
      cell("", name),
      cell("number", formatCount(count)),
      cell("number", formatPercent(share)),
      cell("bars", shareBar(share)),
    );
  });
  const head = ["Class", "#Rows", "#Share", ""];
  return markup`${table(head, rows)}${moreRows(list.length, SHOWN_CLASSES, "class")}`;
}

function shareBar(share: number): Markup {
  const width = Number((share * 100).toFixed(1));
  const view = { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" };
  return element("svg", view, element("rect", { width, height: 10 }));
}

/** Every setting by its path; secrets are hidden by their names. */
export function configurationSection(configuration: Readonly<Record<string, unknown>>): Markup {
  const entries = flatten(configuration, "", 0);
  const rows = entries.slice(0, SHOWN_ENTRIES);
  return section(
    "Configuration",
    definitions(rows),
    moreRows(entries.length, SHOWN_ENTRIES, "value"),
  );
}

/** Nested values by their path; lists of plain values in one line. */
function flatten(value: unknown, path: string, depth: number): [string, string][] {
  const plain = value === null || typeof value !== "object";
  const list = Array.isArray(value) && value.every((item) => typeof item !== "object");
  if (plain || list || depth >= MAX_DEPTH) return [[path, hide(path, formatValue(value))]];
  return Object.entries(value).flatMap(([key, item]) =>
    flatten(item, path === "" ? key : `${path}.${key}`, depth + 1),
  );
}

const hide = (name: string, text: string): string => (SECRET.test(name) ? "(hidden)" : text);

function formatValue(value: unknown): string {
  if (value === null || value === undefined) return "not set";
  if (typeof value === "number")
    return Number.isInteger(value) ? String(value) : formatNumber(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.length === 0 ? "none" : value.map(formatValue).join(", ");
  return JSON.stringify(value) ?? "not set";
}

function definitions(rows: readonly (readonly [string, Piece])[]): Markup {
  const entries = rows.map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value)),
  );
  return element("dl", {}, entries);
}

function moreRows(count: number, shown: number, noun: string): Markup | null {
  if (count <= shown) return null;
  const text = `The first ${formatCount(shown)} of ${plural(count, noun)} are shown.`;
  return element("p", { class: "note" }, text);
}

const cell = (style: string, ...content: readonly Piece[]): Markup =>
  element("td", style === "" ? {} : { class: style }, content);

const badge = (text: string): Markup => element("span", { class: `badge ${text}` }, text);

/** A head that begins with # stands over numbers. */
function table(head: readonly string[], rows: readonly Markup[]): Markup {
  const heads = head.map((text) =>
    text.startsWith("#")
      ? element("th", { class: "number" }, text.slice(1))
      : element("th", {}, text),
  );
  const body = element(
    "table",
    {},
    element("thead", {}, element("tr", {}, heads)),
    element("tbody", {}, rows),
  );
  return element("div", { class: "scroll" }, body);
}
