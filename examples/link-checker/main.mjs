/** Checks the links of a small site; SIGINT stops it at once. The argument slows the site down. */
import { ActorSystem, actor, supervisor, systemClock } from "esper-runtime";
import { DeskProtocol, desk, parser } from "./actors.mjs";
import { openSite } from "./site.mjs";

const site = await openSite(Number(process.argv[2] ?? 2));
const crawling = actor(desk, { thread: "network", config: () => site.url });
const children = { parser: actor(parser, { thread: "parser" }), desk: crawling };
const log = ({ level, actor, msg }) => console.log(`${level}: ${actor}: ${msg}`);
const system = await ActorSystem.start({ tree: supervisor({ children }), clock: systemClock, log });
const ref = system.ref(DeskProtocol);
process.once("SIGINT", () => ref.cast("stop", "interrupted"));
console.log(`checking ${site.url}`);

const { pages, known, stopped } = await ref.call("report", undefined, { deadlineMs: 60_000 });
const bad = pages.filter(({ links }) => typeof links === "string");
for (const { url, links } of bad) console.log(`  ${links}  ${new URL(url).pathname}`);
console.log(`${stopped ?? "complete"}: ${pages.length} of ${known} links, ${bad.length} bad`);
console.log(`restarts: ${system.restarts}`);
await system.stop({ graceMs: 2_000 });
site.close();
