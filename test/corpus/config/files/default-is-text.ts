// biome-ignore-all lint/style/noDefaultExport: a configuration is a default export.
export default "local-cpu";
