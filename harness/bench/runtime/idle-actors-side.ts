/** The memory of idle actors as a process: its heap holds nothing else that could grow. */
import { actor } from "esper-runtime";
import { nextReport } from "./collector.actors.ts";
import { CrowdProtocol, crowd } from "./idle-actors.actors.ts";
import { withSystem } from "./start-system.ts";

const count = Number(process.argv[2]);

await withSystem({ crowd: actor(crowd, { thread: "one" }) }, async (system) => {
  const ref = system.ref(CrowdProtocol, "crowd");
  ref.cast("spawn", 1_000);
  await nextReport();
  ref.cast("spawn", count);
  const { bytes } = await nextReport();
  console.log(JSON.stringify({ bytes }));
});
process.exit(0);
