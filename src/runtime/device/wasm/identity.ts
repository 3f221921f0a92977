/**
 * Copying a tensor. The stock kernel copies the values; sharing the buffer by reference count is
 * enough, because tensors never change. Variables do: they are given a buffer of their own first.
 */
import { input, type TrainingKernel } from "./kernel.ts";

/** A copy that shares its memory. */
export const identity: TrainingKernel = {
  name: "Identity",
  build() {
    return (call) => {
      const { dataId, shape, dtype } = input(call, "x");
      call.backend.incRef(dataId);
      return { dataId, shape, dtype };
    };
  },
};
