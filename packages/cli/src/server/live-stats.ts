import type { Hub, NamespaceOptions } from "@tungstate/hub";
import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";
import type { ConnectionTotals } from "../metrics/server-metrics.ts";

/** The channel in which each node publishes its statistics. */
const LIVE_CHANNEL = "live:server";

/**
 * The options of `live`. Every client may subscribe, only the server publishes, and the namespace
 * has no other channel.
 */
export const LIVE: NamespaceOptions = {
  history: { size: 120, ttl: 600_000 },
  slowConsumer: "drop-oldest",
  // tells every node whether any client is subscribed
  presence: true,
  readPresence: "nobody",
  subscribe: ({ channel }) => channel === LIVE_CHANNEL,
};

/** The statistics that one node publishes. Rates are averages since its previous publication. */
export interface NodeStats {
  readonly node: { readonly id: string; readonly name: string };
  /** Unix time in ms. */
  readonly at: number;
  /** Seconds since the hub started. */
  readonly uptime: number;
  /** Open WebSocket connections of all routes. */
  readonly connections: number;
  /** Channels with a subscriber on this node. */
  readonly channels: number;
  /** Messages per second, over all routes. */
  readonly received: number;
  readonly sent: number;
  /** CPU use of the process; 1 is one core. Several threads can use more. */
  readonly cpu: number;
  /** Event-loop delay in ms. */
  readonly loopDelay: { readonly mean: number; readonly p99: number; readonly max: number };
  /** Bytes queued for writing. */
  readonly queueBytes: number;
  /** Resident set size in bytes. */
  readonly memory: number;
}

const INTERVAL_MS = 1_000;
const RESOLUTION_MS = 10; // resolution of the event-loop delay; measured values include it

interface Sample extends ConnectionTotals {
  readonly at: number; // performance.now()
  readonly cpu: number; // µs
}

/**
 * Publishes the statistics of this node every second while a client on any node is subscribed.
 * Measures nothing otherwise.
 */
export class LiveStats {
  private readonly hub: Hub;
  private readonly count: () => ConnectionTotals;
  private readonly onError: (error: unknown) => void;
  private readonly timer: NodeJS.Timeout;
  private readonly delay: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  private last: Sample | undefined;
  private busy = false;

  constructor(hub: Hub, count: () => ConnectionTotals, onError: (error: unknown) => void) {
    this.hub = hub;
    this.count = count;
    this.onError = onError;
    this.timer = setInterval(() => void this.tick(), INTERVAL_MS).unref();
  }

  stop(): void {
    clearInterval(this.timer);
    this.stopMeasuring();
  }

  private async tick(): Promise<void> {
    // skip the tick while a slow store has not answered
    if (this.busy) return;
    this.busy = true;
    try {
      const { clients } = await this.hub.presenceStats(LIVE_CHANNEL);
      if (clients === 0) this.stopMeasuring();
      else await this.report();
    } catch (error) {
      this.onError(error);
    } finally {
      this.busy = false;
    }
  }

  private stopMeasuring(): void {
    this.last = undefined;
    this.delay.disable();
  }

  private async report(): Promise<void> {
    const { last } = this;
    const { user, system } = process.cpuUsage();
    const now: Sample = { ...this.count(), at: performance.now(), cpu: user + system };
    this.last = now;
    if (last === undefined) {
      this.delay.reset();
      this.delay.enable();
      return;
    }
    const stats = this.stats(last, now);
    this.delay.reset();
    await this.hub.publish(LIVE_CHANNEL, stats);
  }

  private stats(last: Sample, now: Sample): NodeStats {
    const seconds = (now.at - last.at) / 1_000;
    const { id, name, uptime, channels } = this.hub.info();
    return {
      node: { id, name },
      at: Date.now(),
      uptime,
      connections: now.connections,
      channels,
      received: round((now.messagesReceived - last.messagesReceived) / seconds),
      sent: round((now.messagesSent - last.messagesSent) / seconds),
      cpu: round((now.cpu - last.cpu) / 1e6 / seconds),
      loopDelay: {
        mean: toDelay(this.delay.mean),
        p99: toDelay(this.delay.percentile(99)),
        max: toDelay(this.delay.max),
      },
      queueBytes: now.bufferedBytes + this.hub.metrics.queueBytes,
      memory: process.memoryUsage.rss(),
    };
  }
}

/** Converts the time between two timer callbacks in ns to a delay in ms. */
function toDelay(nanoseconds: number): number {
  // the mean is NaN if no timer fired in the interval
  return Number.isNaN(nanoseconds) ? 0 : Math.max(0, round(nanoseconds / 1e6 - RESOLUTION_MS));
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
