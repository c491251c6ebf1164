// For the other packages of this repository alone: no promise is made about this entry.
export { MAX_TIME, timeFault } from "./options/time.ts";
export { defaultRuntime } from "./native/runtime.ts";
