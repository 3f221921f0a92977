/** Refuses to test a build that is not today's: an old dist/ would pass for the new source. */
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describeBuild } from "../harness/setup/build.mjs";

const ROOT = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** Set to 1 while sources are being edited, to test the build as it is; never set in CI. */
const OLD_BUILD_ALLOWED = "ESPER_TEST_OLD_BUILD";

/** Called once by vitest before the first test that runs dist/. */
export default function setup(): void {
  if (process.env[OLD_BUILD_ALLOWED] === "1") return;
  const build = describeBuild(ROOT);
  if (build.state === "current") return;
  throw new Error(
    `dist/ is ${build.state} (${build.file}): these tests run the built product. ` +
      "Run npm run build, or npm test, which builds first; " +
      `${OLD_BUILD_ALLOWED}=1 tests the old build on purpose.`,
  );
}
