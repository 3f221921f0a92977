/** The harness executable: `node dist/harness.js bench|drill|growth|static-analysis`. */
import { main } from "./harness/main.ts";

process.exitCode = await main(process.argv.slice(2));
