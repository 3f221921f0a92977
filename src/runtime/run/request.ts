/** From what the user asked for to what is loaded, independent of where it is started again. */
import { resolve } from "node:path";
import type { DatasetRequest } from "../../protocols/dataset.ts";
import type { RunRequest } from "../../protocols/run.ts";

/** The request with absolute paths, so that a resume from another folder finds the same files. */
export function absoluteRequest(request: RunRequest): RunRequest {
  const { data } = request;
  switch (data.kind) {
    case "builtin":
      return request;
    case "csv":
      return { ...request, data: { ...data, file: resolve(data.file) } };
    case "idx": {
      const images = resolve(data.images);
      return { ...request, data: { ...data, images, labels: resolve(data.labels) } };
    }
    case "cifar10":
      return { ...request, data: { ...data, files: data.files.map((file) => resolve(file)) } };
  }
}

export function datasetRequest(request: RunRequest): DatasetRequest {
  const { data, seed, validationShare } = request;
  return data.kind === "builtin" ? { ...data, seed } : { ...data, seed, validationShare };
}
