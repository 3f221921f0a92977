/** A running system as text: its tree of supervisors and actors, its threads, its dead letters. */
import type {
  ActorSnapshot,
  DeadLettersSnapshot,
  FailuresSnapshot,
  SupervisorSnapshot,
  SystemSnapshot,
  ThreadSnapshot,
} from "../../inspect/snapshot.ts";
import { formatCount, formatDuration, formatNumber, formatPercent, plural } from "./format.ts";
import type { Palette } from "./palette.ts";
import { displayWidth, padEnd, padStart, printable } from "./width.ts";

/** A row of cells, or a line of its own below the row before. */
type Row = readonly string[] | string;

const MIB = 1_024 * 1_024;
const NOTHING = "-";
const SHOWN_LETTERS = 5;
/** Silence of a thread that has nothing to do is no news. */
const SILENT_MS = 1_000;

/** All lines; the caller cuts them to the width of the terminal. */
export function inspectLines(runId: string, snapshot: SystemSnapshot, palette: Palette): string[] {
  const { uptimeMs, overMs, process, tree, threads, deadLetters, spares, zombies } = snapshot;
  const head = [
    `${palette.title(printable(runId))}  process ${process.pid}`,
    `up ${formatAge(uptimeMs)}`,
    `${formatMib(process.rssBytes)} resident`,
    plural(spares, "spare"),
    zombies === 0 ? "no zombies" : palette.bad(plural(zombies, "zombie")),
    palette.faint(`rates over ${formatAge(overMs)}`),
  ];
  return [
    head.join("  "),
    "",
    ...alignRows([ACTOR_HEAD, ...supervisorRows(tree, "", "", palette)], palette),
    "",
    ...alignRows([THREAD_HEAD, ...threads.flatMap((one) => threadRows(one, palette))], palette),
    "",
    ...letterLines(deadLetters, palette),
  ];
}

/** `12 ms`, then as durations are everywhere. */
export function formatAge(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : formatDuration(ms / 1_000);
}

const ACTOR_HEAD = [
  ...["ACTOR", "THREAD", "STATE", "STARTS", "FAILURES"],
  ...["MAILBOX", "DONE", "PER S", "FAILED", "NOW"],
];
const THREAD_HEAD = [
  ...["THREAD", "ID", "START", "STATE", "BUSY", "PARKS", "WAKES"],
  ...["FULL", "HEAP", "BUFFERS", "SPAWNED", "LAST SIGN"],
];
/** Columns of numbers, in both tables. */
const RIGHT = new Set(["STARTS", "DONE", "PER S", "FAILED", "ID", "START", "BUSY", "PARKS"]);
for (const name of ["WAKES", "FULL", "HEAP", "BUFFERS", "SPAWNED", "MAILBOX"]) RIGHT.add(name);

function supervisorRows(
  { name, strategy, failures, children }: SupervisorSnapshot,
  lead: string,
  below: string,
  palette: Palette,
): Row[] {
  const own = name.slice(name.lastIndexOf("/") + 1);
  const title = `${lead}${palette.title(own)} ${palette.label(strategy)}`;
  const rows: Row[] = [[title, "", "", "", failuresText(failures, palette)]];
  for (const [place, child] of children.entries()) {
    const last = place === children.length - 1;
    const branch = `${below}${last ? "└─ " : "├─ "}`;
    const deeper = `${below}${last ? "   " : "│  "}`;
    if (child.kind === "supervisor") rows.push(...supervisorRows(child, branch, deeper, palette));
    else rows.push(...actorRows(child, branch, deeper, palette));
  }
  return rows;
}

function actorRows(actor: ActorSnapshot, lead: string, below: string, palette: Palette): Row[] {
  const { name, thread, state, starts, failures, mailbox, processed, failed, perSecond } = actor;
  const paint = state === "running" ? palette.good : palette.bad;
  const depth = `${formatCount(mailbox.depth)}/${formatCount(mailbox.capacity)}`;
  const cells = [
    ...[`${lead}${printable(name)}`, printable(thread), paint(state), formatCount(starts)],
    failuresText(failures, palette),
    mailbox.depth >= mailbox.capacity ? palette.bad(depth) : depth,
    ...[formatCount(processed), formatNumber(Number(perSecond.toPrecision(3)))],
    failed === 0 ? "0" : palette.warn(formatCount(failed)),
    nowText(actor, palette),
  ];
  const waiting = waitingText(actor);
  return waiting === "" ? [cells] : [cells, palette.faint(`${below}   ${waiting}`)];
}

function nowText({ current }: ActorSnapshot, palette: Palette): string {
  if (current === null) return NOTHING;
  const { message, forMs, waiting } = current;
  const text = `${printable(message)} for ${formatAge(forMs)}`;
  if (waiting) return `${text}, waiting`;
  return forMs < SILENT_MS ? text : palette.warn(text);
}

/** What waits in which lane, and how long already. */
function waitingText({ mailbox: { lanes, onTheWay, stashed } }: ActorSnapshot): string {
  const parts = lanes.flatMap(({ lane, depth, oldestMs }) => {
    if (depth === 0) return [];
    const age = oldestMs === null ? "" : ` (oldest ${formatAge(oldestMs)})`;
    return [`${lane} ${formatCount(depth)}${age}`];
  });
  if (onTheWay > 0) parts.push(`${formatCount(onTheWay)} on the way`);
  if (stashed > 0) parts.push(`${formatCount(stashed)} put aside`);
  return parts.join("  ");
}

function failuresText({ recent, intensity, periodMs }: FailuresSnapshot, palette: Palette): string {
  const text = `${recent}/${intensity} in ${formatAge(periodMs)}`;
  return recent === 0 ? palette.faint(text) : palette.warn(text);
}

function threadRows(thread: ThreadSnapshot, palette: Palette): Row[] {
  const { name, id, epoch, state, utilisation, parks, wakes, ringFull, memory, spawned } = thread;
  const healthy = state === "running" || state === "parked" || state === "loading";
  const cells = [
    ...[printable(name), String(id), formatCount(epoch)],
    healthy ? palette.good(state) : palette.bad(state),
    utilisation === null ? NOTHING : formatPercent(utilisation),
    ...[formatCount(parks), formatCount(wakes), formatCount(ringFull)],
    memory === null ? NOTHING : formatMib(memory.heapUsedBytes),
    memory === null ? NOTHING : formatMib(memory.arrayBuffersBytes),
    formatCount(spawned.count),
    signText(thread, palette),
  ];
  return [cells, ...threadNotes(thread).map((note) => palette.faint(`   ${note}`))];
}

/** When the thread last showed that it lives. */
function signText({ heartbeatAgeMs, state }: ThreadSnapshot, palette: Palette): string {
  if (heartbeatAgeMs < SILENT_MS || state === "parked") return NOTHING;
  return palette.warn(`${formatAge(heartbeatAgeMs)} ago`);
}

function threadNotes({ rings, spawned, pools }: ThreadSnapshot): string[] {
  const notes = rings.map(({ to, lane, usedBytes, capacityBytes }) => {
    const share = formatPercent(usedBytes / capacityBytes);
    return `ring to ${printable(to)}, ${lane}: ${share} full`;
  });
  if (spawned.top.length > 0) {
    const names = spawned.top.map(({ name, depth }) => `${printable(name)} ${formatCount(depth)}`);
    notes.push(`most messages: ${names.join("  ")}`);
  }
  for (const { name, account } of pools) {
    const figures = Object.entries(account).map(([figure, value]) => `${figure} ${value}`);
    notes.push(`pool ${printable(name)}: ${figures.join("  ")}`);
  }
  return notes;
}

function letterLines({ total, byReason, last }: DeadLettersSnapshot, palette: Palette): string[] {
  if (total === 0) return [palette.faint("no dead letters")];
  const reasons = Object.entries(byReason).map(([reason, count]) => `${reason} ${count}`);
  const lines = last.slice(-SHOWN_LETTERS).map((letter) => {
    const { count, actor, message, from, reason } = letter;
    const what = printable(`${actor}.${message}`);
    return palette.faint(`   ${formatCount(count)} x ${what} from ${printable(from)}: ${reason}`);
  });
  const head = palette.warn(plural(total, "dead letter"));
  return [`${head}  ${reasons.join("  ")}`, ...lines];
}

function formatMib(bytes: number): string {
  return `${formatNumber(Number((bytes / MIB).toPrecision(3)))} MiB`;
}

/** Rows as lines of equally wide columns; the first row is the head. */
function alignRows(rows: readonly Row[], palette: Palette): string[] {
  const [head] = rows;
  const names = typeof head === "object" ? head : [];
  const widths = names.map((_, column) =>
    Math.max(...rows.map((row) => (typeof row === "string" ? 0 : displayWidth(row[column] ?? "")))),
  );
  return rows.map((row, index) => {
    if (typeof row === "string") return row;
    const cells = row.map((cell, column) => {
      const pad = RIGHT.has(names[column] ?? "") ? padStart : padEnd;
      return pad(index === 0 ? palette.label(cell) : cell, widths[column] ?? 0);
    });
    return cells.join("  ").trimEnd();
  });
}
