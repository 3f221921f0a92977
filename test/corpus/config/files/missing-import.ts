// biome-ignore-all lint/style/noDefaultExport: a configuration is a default export.
import { thing } from "./not-there.ts";

export default { thing };
