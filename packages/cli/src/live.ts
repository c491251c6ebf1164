import type { Hub, NamespaceOptions } from "@tungstate/hub";
import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";

/** Where the figures of all nodes are published. */
const LIVE_CHANNEL = "live:server";

/** Everybody may watch, nobody but the server publishes, and no other channel of this namespace exists. */
export const LIVE: NamespaceOptions = {
  history: { size: 120, ttl: 600_000 },
  slowConsumer: "drop-oldest",
  // says, on all nodes, whether somebody watches
  presence: true,
  readPresence: "nobody",
  subscribe: ({ channel }) => channel === LIVE_CHANNEL,
};

/** What one node publishes. Rates are those since its publication before. */
export interface Figures {
  readonly node: { readonly id: string; readonly name: string };
  /** Unix time, ms. */
  readonly at: number;
  /** Of the hub, s. */
  readonly uptime: number;
  /** WebSocket connections of all routes. */
  readonly connections: number;
  /** Channels of the hub that somebody is subscribed to here. */
  readonly channels: number;
  /** Messages per second, of all routes. */
  readonly received: number;
  readonly sent: number;
  /** What the process used of one core: 1 is all of it, and several threads can use more. */
  readonly cpu: number;
  /** How late timers were, ms. */
  readonly loopDelay: { readonly mean: number; readonly p99: number; readonly max: number };
  /** Bytes that wait to be written. */
  readonly queueBytes: number;
  /** Resident memory, bytes. */
  readonly memory: number;
}

/** What is counted elsewhere: the sums of all routes at this moment. */
export interface Counted {
  readonly connections: number;
  readonly bufferedBytes: number;
  readonly messagesReceived: number;
  readonly messagesSent: number;
}

const INTERVAL_MS = 1_000;
const RESOLUTION_MS = 10; // of the event loop's delay; what is measured includes it

interface Sample extends Counted {
  readonly at: number; // performance.now()
  readonly cpu: number; // µs
}

/** Publishes the figures of this node each second while somebody, on any node, is subscribed to them; else it measures nothing. */
export class Live {
  private readonly hub: Hub;
  private readonly count: () => Counted;
  private readonly onError: (error: unknown) => void;
  private readonly timer: NodeJS.Timeout;
  private readonly delay: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  private last: Sample | undefined;
  private busy = false;

  constructor(hub: Hub, count: () => Counted, onError: (error: unknown) => void) {
    this.hub = hub;
    this.count = count;
    this.onError = onError;
    this.timer = setInterval(() => void this.tick(), INTERVAL_MS).unref();
  }

  stop(): void {
    clearInterval(this.timer);
    this.rest();
  }

  private async tick(): Promise<void> {
    // a store that takes its time is not asked twice
    if (this.busy) return;
    this.busy = true;
    try {
      const { clients } = await this.hub.presenceStats(LIVE_CHANNEL);
      if (clients === 0) this.rest();
      else await this.report();
    } catch (error) {
      this.onError(error);
    } finally {
      this.busy = false;
    }
  }

  private rest(): void {
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
    const figures = this.figures(last, now);
    this.delay.reset();
    await this.hub.publish(LIVE_CHANNEL, figures);
  }

  private figures(last: Sample, now: Sample): Figures {
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
      loopDelay: { mean: late(this.delay.mean), p99: late(this.delay.percentile(99)), max: late(this.delay.max) },
      queueBytes: now.bufferedBytes + this.hub.metrics.queueBytes,
      memory: process.memoryUsage.rss(),
    };
  }
}

/** Nanoseconds between two timers to milliseconds of delay. */
function late(nanoseconds: number): number {
  // without a single timer in the interval the mean is NaN
  return Number.isNaN(nanoseconds) ? 0 : Math.max(0, round(nanoseconds / 1e6 - RESOLUTION_MS));
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
