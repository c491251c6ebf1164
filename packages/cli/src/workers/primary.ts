import cluster, { type Worker } from "node:cluster";
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Logger } from "pino";
import type { Certificate } from "../certificate.ts";
import { addFigures, countsOf, type Figures, NO_FIGURES } from "../figures.ts";
import type { ServePlan } from "../plan.ts";
import type { Running } from "../running.ts";
import { TICKET_KEYS_BYTES } from "../tls-options.ts";
import type { PrimaryCalls, Shared, WorkerCalls } from "./calls.ts";
import { toWorker } from "./channels.ts";
import { Link } from "./link.ts";
import { SharedStores, type StoreAccess } from "./shared-stores.ts";

const RETRY = 1_000; // ms until another try where a worker could not be started
const LATEST_FIGURES = 1_000; // ms that a worker has to say what it counts
const LATEST_STOP = 1_000; // ms that a worker has to let nobody in any more
const GRACE = 2_000; // ms that a worker has beyond its time to end

/** Runs `plan.workers` processes that serve one port, and takes care that there are so many. Rejects where the first one can't start. */
export async function runPrimary(plan: ServePlan, log: Logger): Promise<Running> {
  const primary = new Primary(plan, log);
  await primary.start();
  return primary;
}

/** A worker, as its primary has it. */
interface Member {
  readonly worker: Worker;
  readonly link: Link<WorkerCalls>;
  readonly stores: StoreAccess;
  /** When it was last asked. */
  figures: Figures | undefined;
  ready: boolean;
  /** Rejects where it has ended before. */
  readonly loaded: Promise<void>;
  readonly ended: Promise<void>;
}

class Primary implements Running {
  url = "";
  private plan: ServePlan;
  private readonly log: Logger;
  private readonly stores = new SharedStores();
  private readonly shared: Shared;
  private readonly members = new Set<Member>();
  /** What those counted that have ended. */
  private past: Promise<Figures> = Promise.resolve(NO_FIGURES);
  private closing = false;

  constructor(plan: ServePlan, log: Logger) {
    this.plan = plan;
    this.log = log;
    this.shared = { ticketKeys: randomBytes(TICKET_KEYS_BYTES), presenceTtl: this.stores.presenceTtl };
    const script = new URL(import.meta.url.endsWith(".ts") ? "worker.ts" : "worker.js", import.meta.url);
    cluster.setupPrimary({ exec: fileURLToPath(script), args: [], serialization: "advanced" });
  }

  async start(): Promise<void> {
    try {
      // one first: what it can't do none of them can
      this.url = await this.startOne();
      await Promise.all(Array.from({ length: this.plan.workers - 1 }, () => this.startOne()));
    } catch (error) {
      await this.close(0);
      throw error;
    }
  }

  setCertificate(certificate: Certificate): void {
    this.plan = { ...this.plan, certificate };
    for (const { link, ready } of this.members) if (ready) link.note("setCertificate", certificate);
  }

  /** One after the other, so that clients who come back elsewhere don't all come at once; each has its share of the time. */
  async close(timeout: number): Promise<void> {
    this.closing = true;
    const until = performance.now() + timeout;
    const all = [...this.members];
    // those that don't serve yet have nobody to say goodbye to
    for (const { ready, worker } of all) if (!ready) worker.process.kill("SIGKILL");
    const serving = all.filter(({ ready }) => ready);
    const stopped = Promise.all(serving.map(({ link }) => link.call("stopListening").catch(ignore)));
    // one that hangs keeps nobody from being sent away, and is ended when its time is over
    await Promise.race([stopped, sleep(Math.min(timeout, LATEST_STOP), undefined, { ref: false })]);
    for (const [index, member] of serving.entries()) {
      await this.end(member, Math.max(1, (until - performance.now()) / (serving.length - index)));
    }
    await Promise.all(all.map(({ ended }) => ended));
  }

  private async end({ link, worker, ended }: Member, timeout: number): Promise<void> {
    const overdue = setTimeout(() => worker.process.kill("SIGKILL"), timeout + GRACE);
    await link.call("close", timeout).catch(ignore);
    await ended;
    clearTimeout(overdue);
  }

  /** Gives the URL as soon as it serves. */
  private async startOne(): Promise<string> {
    const member = this.fork();
    const { link, worker } = member;
    try {
      await member.loaded;
      const { plan } = this;
      const url = await link.call("start", plan, this.shared);
      member.ready = true;
      const { certificate } = this.plan;
      // it began with the one before
      if (certificate !== undefined && certificate !== plan.certificate) link.note("setCertificate", certificate);
      return url;
    } catch (error) {
      worker.process.kill("SIGKILL"); // it would stay, and do nothing
      throw error;
    }
  }

  private fork(): Member {
    const worker = cluster.fork();
    const stores = this.stores.accessFor(() => member.link);
    let onLoaded = ignore;
    const calls: PrimaryCalls = {
      ...stores.calls,
      loaded: () => onLoaded(),
      broadcast: (type, bytes) => this.broadcast(type, bytes),
      allFigures: () => this.allFigures(),
    };
    const ended = new Promise<void>((resolve) => {
      worker.once("exit", (code, signal) => {
        resolve();
        void this.onEnd(member, code, signal);
      });
    });
    const member: Member = {
      worker,
      link: new Link<WorkerCalls>(toWorker(worker), { ...calls }),
      stores,
      figures: undefined,
      ready: false,
      loaded: new Promise((resolve, reject) => {
        onLoaded = resolve;
        void ended.then(() => reject(new Error("a worker has ended before it began")));
      }),
      ended,
    };
    this.members.add(member);
    return member;
  }

  private async onEnd(member: Member, code: number | null, signal: string | null): Promise<void> {
    this.members.delete(member);
    const { figures } = member;
    if (figures !== undefined) this.past = this.past.then((before) => addFigures([before, countsOf(figures)]));
    await member.stores.end();
    // a start that failed is told by itself
    if (this.closing || !member.ready) return;
    const { id, process } = member.worker;
    this.log.error({ worker: id, pid: process.pid, code, signal }, "a worker has ended; another one takes its place");
    await this.replace();
  }

  private async replace(): Promise<void> {
    while (!this.closing) {
      try {
        await this.startOne();
        return;
      } catch (error) {
        if (this.isClosing()) return;
        this.log.error({ err: error }, "a worker can't be started");
        await sleep(RETRY);
      }
    }
  }

  /** It may have changed while something was waited for. */
  private isClosing(): boolean {
    return this.closing;
  }

  private async broadcast(type: "text" | "binary", bytes: Uint8Array): Promise<void> {
    await Promise.all(
      Array.from(this.members, ({ link }) => {
        link.note("broadcast", type, bytes);
        return link.flushed();
      }),
    );
  }

  private async allFigures(): Promise<readonly Figures[]> {
    const serving = [...this.members].filter(({ ready }) => ready);
    const asked = serving.map(async (member) => {
      const answer = member.link.call("figures").then((figures) => (member.figures = figures), ignore);
      // one that is busy, or ends meanwhile, is not waited for: what it said last will do
      await Promise.race([answer, sleep(LATEST_FIGURES, undefined, { ref: false })]);
      return member.figures ?? NO_FIGURES;
    });
    return [...(await Promise.all(asked)), await this.past];
  }
}

const ignore = (): void => undefined;
