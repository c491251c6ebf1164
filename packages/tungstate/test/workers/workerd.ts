// Started by npm run test:runtimes -- workerd, with the path of the binary.
import process from "node:process";
import { workersSuite } from "./support/suite.ts";
import { bundle, startWorkerd } from "./support/workerd.ts";

const { TUNGSTATE_WORKERD: binary = "" } = process.env;
const script = await bundle("worker.ts");
workersSuite("workerd", (t) => startWorkerd(t, binary, script));
