// biome-ignore-all lint/style/noDefaultExport: a configuration is a default export.
import { actor, defineConfig, resident, supervisor } from "esper-runtime";

export default defineConfig({
  defaults: "local-cpu",
  runDirectory: "runs",
  topologies: {
    "local-cpu": {
      description: "One process.",
      engine: "wasm",
      fabric: { kind: "embedded" },
      tree: supervisor({ children: { one: actor(resident("one"), { thread: "a" }) } }),
    },
  },
});
