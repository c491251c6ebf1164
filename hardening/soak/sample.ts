import process from "node:process";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** What a process holds. */
export interface Held {
  /** Bytes. */
  readonly rss: number;
  /** Bytes in use behind a collection: the heap, and what it holds outside. */
  readonly heap: number;
  /** Sockets, servers, timers, requests under way. */
  readonly handles: number;
}

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

export function held(): Held {
  collect();
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, heap: heapUsed + external, handles: process.getActiveResourcesInfo().length };
}
