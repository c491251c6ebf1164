// For the other packages of this repository alone: no promise is made about this entry.
export { argumentError, invalidOption, isArgumentError } from "@tungstate/protocol/internal";
export { describe } from "./options/describe.ts";
export { checkNames, type OptionNames } from "./options/names.ts";
export { systemClock } from "./schedule/clock.ts";
export { Deadlines, NOWHERE, type Timed } from "./schedule/deadlines.ts";
export { checkTime, MAX_TIME } from "./options/time.ts";
export { defaultRuntime } from "./native/runtime.ts";
export { hasOnly } from "./options/plain-object.ts";
