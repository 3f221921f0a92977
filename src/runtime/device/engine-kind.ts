/** The tensor engines by name. "CPU engine" means wasm; `cpu` is plain JavaScript, for tests. */
export const ENGINE_KINDS = ["wasm", "cpu", "tfjs-node-gpu", "webgpu"] as const;
export type EngineKind = (typeof ENGINE_KINDS)[number];
