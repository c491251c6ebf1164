export { memoryPipe } from "./memory-pipe.ts";
export { VirtualClock } from "./virtual-clock.ts";
