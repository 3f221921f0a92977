/** `config check` and `config print`: what holds, and where each value comes from. */
import type { LoadedConfig } from "../../config/load.ts";
import { maskSetting } from "../../config/mask.ts";
import { loadSettings, SETTINGS, type Settings, usedBy } from "../../config/settings.ts";
import { findTopology, type NamedTopology } from "../../config/topologies.ts";
import { listActors } from "../../config/validate-tree.ts";
import { EXIT } from "../../run/exit.ts";
import type { CliDeps } from "../deps.ts";
import type { GlobalValues } from "../options.ts";
import { alignColumns } from "./use-run.ts";

interface Everything {
  readonly settings: Settings;
  readonly loaded: LoadedConfig;
  readonly topology: NamedTopology;
}

/** Settings first: they need no file, so their mistakes show even when the file is missing. */
async function loadEverything(values: GlobalValues, deps: CliDeps): Promise<Everything> {
  const settings = loadSettings(deps.environment);
  const loaded = await deps.loadConfig(values.config);
  return { settings, loaded, topology: findTopology(loaded.config, values.topology) };
}

/** `config check`: loads all there is and says that it is valid; an error says why not. */
export async function runConfigCheck(values: GlobalValues, deps: CliDeps): Promise<number> {
  const { settings, loaded, topology } = await loadEverything(values, deps);
  const set = SETTINGS.filter(({ name }) => settings.sources[name] === "environment");
  const unread = set.filter(({ name }) => usedBy(name) === null).map(({ name }) => name);
  const topologies = Object.keys(loaded.config.topologies);
  if (values.json) {
    const checked = { kind: "config-check", valid: true, file: loaded.file, topologies };
    const more = { topology: topology.name, settingsGiven: set.length, unread };
    deps.stdout.write(`${JSON.stringify({ ...checked, ...more })}\n`);
    return EXIT.done;
  }
  const lines = [
    `valid: ${loaded.file}`,
    `  topologies: ${topologies.join(", ")}`,
    `  topology chosen: ${topology.name}`,
    `  settings from the environment: ${set.length} of ${SETTINGS.length}`,
    ...unread.map((name) => `  ${name} is set, but no part of this version reads it`),
  ];
  deps.stdout.write(`${lines.join("\n")}\n`);
  return EXIT.done;
}

/** `config print`: every setting and the chosen topology with their sources, secrets masked. */
export async function runConfigPrint(values: GlobalValues, deps: CliDeps): Promise<number> {
  const everything = await loadEverything(values, deps);
  const text = values.json
    ? JSON.stringify(printData(values, everything))
    : printText(values, everything);
  deps.stdout.write(`${text}\n`);
  return EXIT.done;
}

/** Whether --topology chose it or the configuration's default. */
function topologySource(values: GlobalValues): "flag" | "config" {
  return values.topology === null ? "config" : "flag";
}

/** What both forms of `config print` show, as plain data without secrets. */
function printData(values: GlobalValues, { settings, loaded, topology }: Everything) {
  return {
    kind: "config",
    file: { path: loaded.file, source: loaded.source },
    topology: { name: topology.name, source: topologySource(values) },
    engine: topology.spec.engine,
    actors: listActors(topology.spec.tree).map(({ name, spec }) => ({ name, thread: spec.thread })),
    runDirectory: {
      path: values.runs ?? loaded.config.runDirectory,
      source: values.runs === null ? "config" : "flag",
    },
    settings: SETTINGS.map((setting) => ({
      name: setting.name,
      value: maskSetting(setting, settings.values[setting.name]),
      default: maskSetting(setting, setting.default),
      source: settings.sources[setting.name],
      type: setting.type,
      allowed: setting.allowed,
      usedBy: usedBy(setting.name),
      help: setting.help,
    })),
  };
}

function printText(values: GlobalValues, everything: Everything): string {
  const data = printData(values, everything);
  const shown = (value: unknown) => (value === null ? "(not set)" : String(value));
  const table = data.settings.map(({ name, value, source, usedBy: reader }) => [
    name,
    shown(value),
    source,
    reader ?? "read by no part of this version",
  ]);
  return [
    `configuration  ${data.file.path} (${data.file.source})`,
    `topology       ${data.topology.name} (${data.topology.source})`,
    `engine         ${data.engine}`,
    `runs           ${data.runDirectory.path} (${data.runDirectory.source})`,
    `actors         ${data.actors.map(({ name, thread }) => `${name} on ${thread}`).join(", ")}`,
    "",
    alignColumns([["SETTING", "VALUE", "SOURCE", "READ BY"], ...table]),
  ].join("\n");
}
