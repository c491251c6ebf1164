import { setTimeout as sleep } from "node:timers/promises";
import { type Latency, type LoadCommand, type LoadOptions, runLoad, startIdle } from "../load/run.ts";
import type { Row } from "../rows.ts";
import { median } from "../report/statistics.ts";
import { residentKb } from "./machine.ts";
import type { ServerProcess } from "./server.ts";

/** One sample: a row, a server, a round. Values that the row does not have are undefined. */
export interface Sample {
  readonly rate?: number;
  readonly cpuUs?: number;
  readonly ms?: number;
  readonly kb?: number;
  readonly p99Us?: number;
  readonly latencyUs?: Latency;
  readonly wireBytes?: number;
  /** CPU use in cores. */
  readonly serverBusy?: number;
  readonly loadBusy?: number;
  readonly othersBusy?: number;
}

export interface Timing {
  readonly seconds: number;
  readonly warmup: number;
  /** Reduces rows with a fixed count to a fraction of it, with less waiting. */
  readonly scale: number;
}

/** Rejects if the server does not do the work: a wrong reply, no reply, or none compared. */
export async function measure(row: Row, server: ServerProcess, load: LoadCommand, timing: Timing): Promise<Sample> {
  const { seconds, warmup } = timing;
  const options: LoadOptions = {
    ...row.load,
    seconds,
    warmup: warmup * (row.slowToWarm ?? 1),
    deflate: row.deflate === true ? 1 : 0,
    tls: row.tls === true ? 1 : 0,
  };
  if (row.idle !== undefined) return measureIdle(row.idle, options, server, load, timing.scale);
  if (options.mode === "burst") {
    const count = Math.ceil((options.count ?? 100_000) * timing.scale);
    const { ms, serverCpuUs, checked } = await runLoad(load, server, { ...options, mode: "burst", count });
    if (checked === 0) throw new Error("no message was compared");
    return { ms: median(ms) / timing.scale, cpuUs: serverCpuUs };
  }
  const result = await runLoad(load, server, options);
  if (result.checked === 0) throw new Error("no reply was compared");
  if (row.deflate === true && result.compressedReplies === 0) throw new Error("no reply was compressed");
  const { perSecond: rate, serverCpuUs: cpuUs, latencyUs, wireBytes, serverBusy, loadBusy, othersBusy } = result;
  const others = othersBusy === undefined ? {} : { othersBusy };
  return { rate, cpuUs, p99Us: latencyUs.p99, latencyUs, wireBytes, serverBusy, loadBusy, ...others };
}

// Resident memory now and with more connections; the difference excludes the process itself.
async function measureIdle(
  { from, to }: { readonly from: number; readonly to: number },
  { mode: _, ...options }: LoadOptions,
  server: ServerProcess,
  command: LoadCommand,
  scale: number,
): Promise<Sample> {
  const [first, last] = [Math.ceil(from * scale), Math.ceil(to * scale)];
  const settle = 1500 * scale; // ms
  const load = startIdle(command, server, { ...options, connections: last });
  try {
    await load.open(first);
    await sleep(settle);
    const before = residentKb(server.pid);
    const { serverCpu } = await load.open(last);
    await sleep(settle);
    const after = residentKb(server.pid);
    return { kb: (after - before) / (last - first), cpuUs: (serverCpu * 1e6) / (last - first) };
  } finally {
    await load.close();
  }
}
