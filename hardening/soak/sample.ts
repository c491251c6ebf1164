import process from "node:process";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Resources of a process. */
export interface Held {
  /** Bytes. */
  readonly rss: number;
  /** Bytes in use after a garbage collection: heap and external memory. */
  readonly heap: number;
  /** Sockets, servers, timers, pending requests. */
  readonly handles: number;
}

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

export function held(): Held {
  collect();
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, heap: heapUsed + external, handles: process.getActiveResourcesInfo().length };
}
