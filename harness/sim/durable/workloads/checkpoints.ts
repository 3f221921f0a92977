/** Checkpoints of one run: saved, pruned, and one final. */
import { CheckpointStore } from "esper-runtime/testkit";
import { coded, itemOf, type Life, numberOf, payloadOf, type Workload } from "../workload.ts";

const DIRECTORY = "/run/checkpoints";
const MODEL = "/run/model.ckpt";
/** Fewer than by default, so that a short life prunes. */
const RETENTION = { keep: 1, maxAgeMs: Number.MAX_SAFE_INTEGER };

async function save(store: CheckpointStore, { told }: Life, final: boolean): Promise<void> {
  const item = told.offer();
  const step = numberOf(item);
  const checkpoint = {
    meta: { state: new TextDecoder().decode(payloadOf(item)) },
    arrays: { weights: Float32Array.from({ length: 150 }, (_, at) => at + step) },
  };
  const saved = await coded(store.save(step, checkpoint, { final, nowMs: step }));
  if (saved !== null) told.acknowledge(item);
}

export const checkpoints: Workload = {
  name: "checkpoints",
  keeps: "latest",
  async run(life) {
    const store = new CheckpointStore(life.files, DIRECTORY, MODEL, RETENTION);
    await save(store, life, false);
    await save(store, life, true);
  },
  async recover({ files }) {
    const { good } = await new CheckpointStore(files, DIRECTORY, MODEL).latestGood();
    if (good === null) return [];
    const item = itemOf(new TextEncoder().encode(String(good.checkpoint.meta["state"])));
    const [first] = good.checkpoint.arrays["weights"] ?? [];
    return [first === numberOf(item) ? item : `${item} with the weights of another`];
  },
};
