/** One file that is replaced as a whole, in directories that the first life makes. */
import { atomicWrite } from "esper-runtime/testkit";
import { coded, itemOf, payloadOf, type Workload } from "../workload.ts";

const DIRECTORY = "/run/one/two";
const PATH = `${DIRECTORY}/state`;
const WRITES = 3;

export const wholeFile: Workload = {
  name: "whole-file",
  keeps: "latest",
  async run({ files, told }) {
    for (let left = WRITES; left > 0; left--) {
      const item = told.offer();
      const written = await coded(
        files
          .makeDirectory(DIRECTORY)
          .then(() => atomicWrite(files, PATH, payloadOf(item)))
          .then(() => true),
      );
      if (written === true) told.acknowledge(item);
    }
  },
  async recover({ files }) {
    const bytes = await coded(files.read(PATH));
    return bytes === null ? [] : [itemOf(bytes)];
  },
};
