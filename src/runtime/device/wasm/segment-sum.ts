/** Sum of rows by segment id: the gradient of a gather, which the wasm backend lacks. */
import { floats, input, type TrainingKernel, zeros } from "./kernel.ts";

/** Rows with a segment outside 0..numSegments-1 are left out, as on every backend. */
export const segmentSum: TrainingKernel = {
  name: "UnsortedSegmentSum",
  build() {
    return (call) => {
      const { backend } = call;
      const x = input(call, "x");
      const segmentIds = input(call, "segmentIds");
      const segments = call.attrs["numSegments"] as number;
      const rowShape = x.shape.slice(segmentIds.shape.length);
      const rowSize = rowShape.reduce((size, extent) => size * extent, 1);
      const out = zeros(backend, [segments, ...rowShape]);
      // Views last: making `out` may have moved the heap.
      const values = floats(backend, x);
      const sums = floats(backend, out);
      const ids = backend.typedArrayFromHeap(segmentIds);
      ids.forEach((segment, row) => {
        if (segment < 0 || segment >= segments) return;
        for (let column = 0; column < rowSize; column++) {
          const to = segment * rowSize + column;
          sums[to] = (sums[to] as number) + (values[row * rowSize + column] as number);
        }
      });
      return out;
    };
  },
};
