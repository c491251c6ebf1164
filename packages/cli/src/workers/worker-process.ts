import type { Worker } from "node:cluster";
import type { Socket } from "node:net";
import type { Logger } from "pino";
import type { DroppedMessages } from "../metrics/primary-metrics.ts";
import type { ProcessMetrics } from "../metrics/process-metrics.ts";
import type { ServeConfig } from "../settings/config.ts";
import type { PrimaryCalls, Shared, WorkerCalls } from "./calls.ts";
import type { Recipient } from "./distribution.ts";
import { Link } from "./link.ts";
import type { Losses } from "./send-queue.ts";
import { type ConnectionMessage, pipeToWorker } from "./pipe.ts";
import type { StoreAccess } from "./shared-stores.ts";

const START_TIMEOUT = 60_000; // ms from fork to serving
const GRACE = 2_000; // ms added to a worker's time limit

/** Notifications that may be dropped. The worker is notified of the loss and recovers. */
const DROPPABLE: ReadonlySet<string> = new Set<keyof WorkerCalls>(["publication", "join", "leave", "broadcast"]);

/** A worker, as seen by the primary process. */
export class WorkerProcess implements Recipient {
  readonly link: Link<WorkerCalls>;
  readonly stores: StoreAccess;
  /** Resolves with exit code and signal. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  readonly dropped: DroppedMessages = { publications: 0, broadcasts: 0 };
  /** The last metrics received from the worker. */
  ownMetrics: ProcessMetrics | undefined;
  /** When the worker started serving, or undefined before that. */
  readyAt: number | undefined;
  /** When the worker last answered a ping. */
  aliveAt = 0;
  private readonly worker: Worker;
  private readonly log: Logger;

  constructor(
    worker: Worker,
    calls: Omit<PrimaryCalls, keyof StoreAccess["calls"]>,
    stores: (link: () => Link<WorkerCalls>) => StoreAccess,
    log: Logger,
  ) {
    this.worker = worker;
    this.log = log;
    this.stores = stores(() => this.link);
    this.link = new Link<WorkerCalls>(
      pipeToWorker(worker),
      { ...this.stores.calls, ...calls },
      {
        droppable: DROPPABLE,
        pauses: true,
        onLoss: (losses) => this.reportLoss(losses),
        onOverflow: () => this.kill("it does not accept messages"),
      },
    );
    this.ended = new Promise((resolve) => worker.once("exit", (code, signal) => resolve({ code, signal })));
    // sending failed: the exit event reports the end of the worker
    worker.on("error", () => undefined);
  }

  get id(): number {
    return this.worker.id;
  }

  get pid(): number | undefined {
    return this.worker.process.pid;
  }

  get isServing(): boolean {
    return this.readyAt !== undefined;
  }

  /** Resolves with the URL when the worker serves. Kills the worker if it fails. */
  async start(config: ServeConfig, shared: Shared): Promise<string> {
    try {
      const url = await this.link.callWithin(START_TIMEOUT, "start", config, shared);
      this.readyAt = this.aliveAt = performance.now();
      return url;
    } catch (error) {
      this.end(); // a worker that failed to start would stay idle
      throw error;
    }
  }

  /** Checks that the worker's event loop is running. */
  ping(): void {
    this.link.call("ping").then(
      () => (this.aliveAt = performance.now()),
      () => undefined,
    );
  }

  async offer(): Promise<void> {
    await this.link.call("offer");
  }

  hand(id: number, socket: Socket): void {
    const message: ConnectionMessage = { type: "connection", id };
    // a failure is reported by the exit event
    this.worker.process.send(message, socket, { keepOpen: true }, () => undefined);
  }

  /** Drains the worker. Kills it if that takes much longer than `timeout` ms. */
  async close(timeout: number): Promise<void> {
    const overdue = setTimeout(() => this.end(), timeout + GRACE);
    await this.link.callWithin(timeout + GRACE, "close", timeout).catch(() => undefined);
    await this.ended;
    clearTimeout(overdue);
  }

  kill(why: string): void {
    this.log.error({ worker: this.id, pid: this.pid, why }, "killing a worker");
    this.end();
  }

  end(): void {
    this.worker.process.kill("SIGKILL");
  }

  private reportLoss(losses: Losses): void {
    const broadcasts = losses.get("broadcast") ?? 0;
    let publications = 0;
    for (const [name, count] of losses) if (name !== "broadcast") publications += count;
    this.dropped.broadcasts += broadcasts;
    this.dropped.publications += publications;
    this.log.warn(
      { worker: this.id, publications, broadcasts },
      "messages to a worker were dropped: it did not accept them in time",
    );
    this.link.note("lost", { publications: publications > 0, broadcasts: broadcasts > 0 });
  }
}
