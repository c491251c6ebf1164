export { type ConditionedStream, conditions, type ConditionsOptions, type When } from "./conditions.ts";
export { memoryPipe } from "./memory-pipe.ts";
export { parseConditions } from "./parse-conditions.ts";
export { seededRandom } from "./random.ts";
export { VirtualClock } from "./virtual-clock.ts";
