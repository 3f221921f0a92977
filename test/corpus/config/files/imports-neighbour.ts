// biome-ignore-all lint/style/noDefaultExport: a configuration is a default export.
import { defineConfig } from "esper-runtime";
import { tree } from "./tree.ts";

export default defineConfig({
  defaults: "local-cpu",
  runDirectory: "runs",
  topologies: {
    "local-cpu": {
      description: "One process.",
      engine: "wasm",
      fabric: { kind: "embedded" },
      tree: tree,
    },
  },
});
