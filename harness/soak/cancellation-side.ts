/**
 * The cancellation soak as a process: jobs by the hundred that are cancelled at every moment of
 * their lives, on both kinds of pool and in actors of other threads. Argument: the request as JSON.
 */
import { actorSide, poolSide, type Side } from "./cancellation-sides.ts";
import { CancellationTally } from "./cancellation-tally.ts";
import { MemoryTrack, memoryVerdicts, slopesOf } from "./memory.ts";
import { Passes } from "./passes.ts";
import { type SoakReport, SoakRequest, say } from "./report.ts";
import { residueVerdict, settledBelongings } from "./residue.ts";

const MINUTE_MS = 60_000;
/** Rounds of one pass over all sides; memory is looked at after each pass. */
const PASS_ROUNDS = 10;

async function openSides(request: SoakRequest): Promise<readonly Side[]> {
  return [await poolSide(request, false), await poolSide(request, true), await actorSide(request)];
}

async function closeSides(sides: readonly Side[]): Promise<void> {
  for (const side of sides) await side.close();
}

async function soak(request: SoakRequest): Promise<SoakReport> {
  const startedMs = performance.now();
  // What the platform itself starts on first use is no residue.
  await closeSides(await openSides(request));
  const before = await settledBelongings();
  const sides = await openSides(request);
  const tallies = sides.map((side) => new CancellationTally(side));
  const memory = new MemoryTrack(async () => {
    const left = await Promise.all(sides.map((side) => side.collect()));
    return left.reduce((sum, bytes) => sum + bytes, 0);
  });
  const rounds = sides.map(() => 0);
  const cases = sides.map((side, index) => ({
    name: side.name,
    async run() {
      const round = rounds[index] ?? 0;
      rounds[index] = round + 1;
      tallies[index]?.add(await side.round(round));
    },
  }));
  const passes = new Passes("cancellation", cases);
  const isOver = (): boolean =>
    (rounds[0] ?? 0) >= request.rounds &&
    performance.now() - startedMs >= request.minutes * MINUTE_MS;
  while (!isOver()) {
    await passes.pass(Math.min(PASS_ROUNDS, request.rounds));
    await memory.sample("pass");
    say(`cancellation: ${rounds[0]} rounds of ${request.jobs} jobs on each side`);
  }
  const verdicts = tallies.flatMap((tally) => tally.verdicts());
  const slopes = slopesOf(memory.points);
  const figures = {
    sides: Object.fromEntries(sides.map(({ name }, i) => [name, tallies[i]?.figures()])),
    rounds_us: passes.percentiles(),
    memory: { ...slopes, samples: memory.points },
  };
  await closeSides(sides);
  return {
    figures,
    verdicts: [...verdicts, ...memoryVerdicts(slopes), await residueVerdict(before)],
  };
}

const request = SoakRequest.parse(JSON.parse(process.argv[2] ?? ""));
console.log(JSON.stringify(await soak(request)));
