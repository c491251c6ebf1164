import type { Worker } from "node:cluster";
import type { Logger } from "pino";
import type { Figures } from "../figures.ts";
import type { ServePlan } from "../plan.ts";
import type { PrimaryCalls, Shared, WorkerCalls } from "./calls.ts";
import { Link } from "./link.ts";
import type { Losses } from "./outgoing.ts";
import { pipeToWorker } from "./pipe.ts";
import type { StoreAccess } from "./shared-stores.ts";

const LATEST_START = 60_000; // ms that a worker has from its fork until it serves
const GRACE = 2_000; // ms that a worker has beyond its time to end

/** Notes that a worker may miss: it is told that it has, and makes up for it. */
const DROPPABLE: ReadonlySet<string> = new Set<keyof WorkerCalls>(["publication", "join", "leave", "broadcast"]);

/** What a worker missed because it did not take it, since its start. */
export interface Dropped {
  publications: number;
  broadcasts: number;
}

/** A worker, as its primary has it. */
export class Member {
  readonly link: Link<WorkerCalls>;
  readonly stores: StoreAccess;
  /** Resolves with what it ended by. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  readonly dropped: Dropped = { publications: 0, broadcasts: 0 };
  /** When it was last asked. */
  figures: Figures | undefined;
  /** When it began to serve; undefined: it has not. */
  readyAt: number | undefined;
  /** When it last showed that its event loop goes on. */
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
        onLoss: (losses) => this.tellLoss(losses),
        onOverflow: () => this.kill("it does not take what it is sent"),
      },
    );
    this.ended = new Promise((resolve) => worker.once("exit", (code, signal) => resolve({ code, signal })));
    worker.on("error", () => undefined); // it could not be sent to: its end is told by itself
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

  /** Resolves with the URL as soon as it serves. Where it can't it is ended. */
  async start(plan: ServePlan, shared: Shared): Promise<string> {
    try {
      const url = await this.link.callWithin(LATEST_START, "start", plan, shared);
      this.readyAt = this.aliveAt = performance.now();
      return url;
    } catch (error) {
      this.end(); // it would stay, and do nothing
      throw error;
    }
  }

  /** Asks for a sign of life. */
  ping(): void {
    this.link.call("ping").then(
      () => (this.aliveAt = performance.now()),
      () => undefined,
    );
  }

  /** Has it drain, and ends it where it takes longer than `timeout` ms and a little. */
  async close(timeout: number): Promise<void> {
    const overdue = setTimeout(() => this.end(), timeout + GRACE);
    await this.link.callWithin(timeout + GRACE, "close", timeout).catch(() => undefined);
    await this.ended;
    clearTimeout(overdue);
  }

  kill(why: string): void {
    this.log.error({ worker: this.id, pid: this.pid, why }, "a worker is ended");
    this.end();
  }

  end(): void {
    this.worker.process.kill("SIGKILL");
  }

  private tellLoss(losses: Losses): void {
    const broadcasts = losses.get("broadcast") ?? 0;
    let publications = 0;
    for (const [name, count] of losses) if (name !== "broadcast") publications += count;
    this.dropped.broadcasts += broadcasts;
    this.dropped.publications += publications;
    this.log.warn(
      { worker: this.id, publications, broadcasts },
      "a worker did not take what it was sent: it was dropped",
    );
    this.link.note("lost", { publications: publications > 0, broadcasts: broadcasts > 0 });
  }
}
