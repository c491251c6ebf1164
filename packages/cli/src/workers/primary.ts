import cluster from "node:cluster";
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Logger } from "pino";
import { sharedMemoryBudget } from "tungstate";
import type { Certificate } from "../tls/certificate.ts";
import { combineMetrics, withoutGauges, type ProcessMetrics, NO_METRICS } from "../metrics/process-metrics.ts";
import type { ServeConfig } from "../settings/config.ts";
import type { RunningServer } from "../server/running-server.ts";
import { TICKET_KEYS_BYTES } from "../tls/server-options.ts";
import type { Shared } from "./calls.ts";
import { Distribution } from "./distribution.ts";
import { Listener } from "./listener.ts";
import { WorkerProcess } from "./worker-process.ts";
import { WORKER_STDIO } from "./pipe.ts";
import { type DroppedMessages, primaryMetrics } from "../metrics/primary-metrics.ts";
import { SharedStores } from "./shared-stores.ts";

const HEARTBEAT = 1_000; // ms between two pings of each worker
const HUNG_TIMEOUT = 10_000; // ms without an answer, after which a worker is killed
const MIN_UPTIME = 10_000; // ms; a worker that ends earlier is restarted with a delay
const FIRST_DELAY = 1_000; // ms before the second restart in a row
const MAX_DELAY = 30_000; // ms
const METRICS_TIMEOUT = 1_000; // ms for a worker to report its metrics
const STOP_TIMEOUT = 1_000; // ms for a worker to stop listening

/**
 * Runs `config.workers` processes that serve one port and replaces those that end. Rejects if the
 * first one cannot start.
 */
export async function runPrimary(config: ServeConfig, log: Logger): Promise<RunningServer> {
  const primary = new Primary(config, log);
  await primary.start();
  return primary;
}

class Primary implements RunningServer {
  url = "";
  private config: ServeConfig;
  private readonly log: Logger;
  private readonly stores: SharedStores;
  private readonly shared: Shared;
  private readonly workers = new Set<WorkerProcess>();
  /** Metrics of workers that have ended. */
  private past: Promise<ProcessMetrics> = Promise.resolve(NO_METRICS);
  private readonly dropped: DroppedMessages = { publications: 0, broadcasts: 0 };
  private readonly memory = sharedMemoryBudget.part("worker links");
  private readonly distribution = new Distribution({ recipients: () => this.workers });
  private listener: Listener | undefined;
  private replaced = 0;
  /** Consecutive failures of workers. */
  private failures = 0;
  private closing = false;

  constructor(config: ServeConfig, log: Logger) {
    this.config = config;
    this.log = log;
    this.stores = new SharedStores(undefined, config.historyBytes);
    this.shared = { ticketKeys: randomBytes(TICKET_KEYS_BYTES), presenceTtl: this.stores.presenceTtl };
    const script = new URL(import.meta.url.endsWith(".ts") ? "worker.ts" : "worker.js", import.meta.url);
    cluster.setupPrimary({ exec: fileURLToPath(script), args: [], stdio: [...WORKER_STDIO] });
    // a hung worker would outlive this process
    process.on("exit", () => {
      for (const worker of this.workers) worker.end();
    });
  }

  async start(): Promise<void> {
    try {
      const { host, port } = this.config;
      const listener = await Listener.open(host, port, (socket) => this.distribution.add(socket));
      this.listener = listener;
      this.config = { ...this.config, port: listener.port };
      // start one first: a failure of the first would also affect the others
      this.url = await this.startOne();
      await Promise.all(Array.from({ length: this.config.workers - 1 }, () => this.startOne()));
    } catch (error) {
      await this.close(0);
      throw error;
    }
    this.watch(performance.now());
  }

  setCertificate(certificate: Certificate): void {
    this.config = { ...this.config, certificate };
    for (const { link, isServing } of this.workers) if (isServing) link.note("setCertificate", certificate);
  }

  /**
   * Drains workers one after the other, so that their clients do not all reconnect at once. Each
   * worker gets an equal share of the time.
   */
  async close(timeout: number): Promise<void> {
    this.closing = true;
    this.listener?.close();
    this.distribution.close();
    const until = performance.now() + timeout;
    const all = [...this.workers];
    // workers that are not serving yet have no clients
    for (const worker of all) if (!worker.isServing) worker.end();
    const serving = all.filter(({ isServing }) => isServing);
    const stopped = Promise.all(serving.map(({ link }) => link.call("stopListening").catch(ignore)));
    // a hung worker must not delay the others; it is killed at the end of its time
    await Promise.race([stopped, sleep(Math.min(timeout, STOP_TIMEOUT), undefined, { ref: false })]);
    for (const [index, worker] of serving.entries()) {
      await worker.close(Math.max(1, (until - performance.now()) / (serving.length - index)));
    }
    await Promise.all(all.map(({ ended }) => ended));
  }

  private async startOne(): Promise<string> {
    const worker = this.fork();
    const { config } = this;
    const url = await worker.start(config, this.shared);
    const { certificate } = this.config;
    // the certificate was replaced while the worker was starting
    if (certificate !== undefined && certificate !== config.certificate)
      worker.link.note("setCertificate", certificate);
    return url;
  }

  private fork(): WorkerProcess {
    const calls = {
      broadcast: (type: "text" | "binary", bytes: Uint8Array) => this.broadcast(type, bytes),
      allMetrics: () => this.allMetrics(),
      confirm: (id: number) => this.distribution.confirm(worker, id),
    };
    const worker: WorkerProcess = new WorkerProcess(
      cluster.fork(),
      calls,
      (link) => this.stores.accessFor(link),
      this.log,
    );
    this.workers.add(worker);
    void worker.ended.then(({ code, signal }) => this.onEnd(worker, code, signal));
    return worker;
  }

  private async onEnd(worker: WorkerProcess, code: number | null, signal: string | null): Promise<void> {
    this.workers.delete(worker);
    this.distribution.forget(worker);
    const { ownMetrics, readyAt, dropped, id, pid } = worker;
    if (ownMetrics !== undefined)
      this.past = this.past.then((before) => combineMetrics([before, withoutGauges(ownMetrics)]));
    this.dropped.publications += dropped.publications;
    this.dropped.broadcasts += dropped.broadcasts;
    await worker.stores.end();
    // a failed start is reported by `start`
    if (this.closing || readyAt === undefined) return;
    this.log.error({ worker: id, pid, code, signal }, "a worker has ended and will be replaced");
    if (performance.now() - readyAt >= MIN_UPTIME) this.failures = 0;
    await this.replace();
  }

  /** Starts a replacement, at first without delay. Repeated failures increase the delay. */
  private async replace(): Promise<void> {
    while (!this.closing) {
      const delay = this.failures === 0 ? 0 : Math.min(MAX_DELAY, FIRST_DELAY * 2 ** (this.failures - 1));
      this.failures++;
      await sleep(delay);
      if (this.isClosing()) return;
      try {
        await this.startOne();
        this.replaced++;
        return;
      } catch (error) {
        if (this.isClosing()) return;
        this.log.error({ err: error }, "a worker cannot be started");
      }
    }
  }

  /** A function, because the value may change during an `await`. */
  private isClosing(): boolean {
    return this.closing;
  }

  /**
   * Kills workers whose event loop is blocked. `due` is the time at which this call was scheduled.
   */
  private watch(due: number): void {
    const now = performance.now();
    // this process was blocked: answers of the workers may be unread
    const wasBlocked = now - due > HEARTBEAT;
    for (const worker of this.workers) {
      if (!worker.isServing) continue;
      if (wasBlocked) worker.aliveAt = now;
      if (now - worker.aliveAt >= HUNG_TIMEOUT) worker.kill(`no answer for ${HUNG_TIMEOUT} ms`);
      else worker.ping();
    }
    this.memory.set(this.heldByLinks());
    setTimeout(() => this.watch(now + HEARTBEAT), HEARTBEAT).unref();
  }

  private heldByLinks(): number {
    let bytes = 0;
    for (const { link } of this.workers) bytes += link.queuedBytes;
    return bytes;
  }

  private async broadcast(type: "text" | "binary", bytes: Uint8Array): Promise<void> {
    const serving = [...this.workers].filter(({ isServing }) => isServing);
    for (const { link } of serving) link.note("broadcast", type, bytes);
    await Promise.all(serving.map(({ link }) => link.room()));
  }

  private async allMetrics(): Promise<readonly ProcessMetrics[]> {
    const serving = [...this.workers].filter(({ isServing }) => isServing);
    const asked = serving.map(async (worker) => {
      const answer = worker.link.call("ownMetrics").then((ownMetrics) => (worker.ownMetrics = ownMetrics), ignore);
      // do not wait for a busy or ending worker: use its last metrics
      await Promise.race([answer, sleep(METRICS_TIMEOUT, undefined, { ref: false })]);
      return worker.ownMetrics ?? NO_METRICS;
    });
    const own: ProcessMetrics = { ...NO_METRICS, hub: this.ownFamilies() };
    return [...(await Promise.all(asked)), await this.past, own];
  }

  private ownFamilies(): ProcessMetrics["hub"] {
    const dropped = { ...this.dropped };
    for (const worker of this.workers) {
      dropped.publications += worker.dropped.publications;
      dropped.broadcasts += worker.dropped.broadcasts;
    }
    return primaryMetrics({
      workers: [...this.workers].filter(({ isServing }) => isServing).length,
      replaced: this.replaced,
      linkBytes: this.heldByLinks(),
      dropped,
      memory: sharedMemoryBudget.use.parts,
    });
  }
}

const ignore = (): void => undefined;
