import cluster from "node:cluster";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Logger } from "pino";
import { sharedMemoryBudget } from "tungstate";
import type { Certificate } from "../certificate.ts";
import { addFigures, countsOf, type Figures, NO_FIGURES } from "../figures.ts";
import type { ServePlan } from "../plan.ts";
import type { Running } from "../running.ts";
import { TICKET_KEYS_BYTES } from "../tls-options.ts";
import type { Shared } from "./calls.ts";
import { type Dropped, Member } from "./member.ts";
import { WORKER_STDIO } from "./pipe.ts";
import { primaryFamilies } from "./primary-metrics.ts";
import { SharedStores } from "./shared-stores.ts";

const HEARTBEAT = 1_000; // ms between two questions to each worker whether it goes on
const HUNG = 10_000; // ms without a sign of life, after which a worker is ended
const QUICK_DEATH = 10_000; // ms: a worker that does not serve so long will hardly do better at once
const FIRST_DELAY = 1_000; // ms until a worker is started that has failed twice
const LONGEST_DELAY = 30_000; // ms
const LATEST_FIGURES = 1_000; // ms that a worker has to say what it counts
const LATEST_STOP = 1_000; // ms that a worker has to let nobody in any more
const PORT_TRIES = 5;

/** Runs `plan.workers` processes that serve one port, and takes care that there are so many. Rejects where the first one can't start. */
export async function runPrimary(plan: ServePlan, log: Logger): Promise<Running> {
  const primary = new Primary(plan, log);
  await primary.start();
  return primary;
}

class Primary implements Running {
  url = "";
  private plan: ServePlan;
  private readonly log: Logger;
  private readonly stores: SharedStores;
  private readonly shared: Shared;
  private readonly members = new Set<Member>();
  /** What those counted that have ended. */
  private past: Promise<Figures> = Promise.resolve(NO_FIGURES);
  private readonly dropped: Dropped = { publications: 0, broadcasts: 0 };
  private readonly memory = sharedMemoryBudget.part("worker links");
  private replaced = 0;
  /** Workers that failed one after the other. */
  private failures = 0;
  private closing = false;

  constructor(plan: ServePlan, log: Logger) {
    this.plan = plan;
    this.log = log;
    this.stores = new SharedStores();
    this.shared = { ticketKeys: randomBytes(TICKET_KEYS_BYTES), presenceTtl: this.stores.presenceTtl };
    const script = new URL(import.meta.url.endsWith(".ts") ? "worker.ts" : "worker.js", import.meta.url);
    cluster.setupPrimary({ exec: fileURLToPath(script), args: [], stdio: [...WORKER_STDIO] });
    // one that hangs would outlive this process
    process.on("exit", () => {
      for (const member of this.members) member.end();
    });
  }

  async start(): Promise<void> {
    try {
      // one first: what it can't do none of them can
      this.url = await this.startFirst();
      await Promise.all(Array.from({ length: this.plan.workers - 1 }, () => this.startOne()));
    } catch (error) {
      await this.close(0);
      throw error;
    }
    this.watch(performance.now());
  }

  setCertificate(certificate: Certificate): void {
    this.plan = { ...this.plan, certificate };
    for (const { link, isServing } of this.members) if (isServing) link.note("setCertificate", certificate);
  }

  /** One after the other, so that clients who come back elsewhere don't all come at once; each has its share of the time. */
  async close(timeout: number): Promise<void> {
    this.closing = true;
    const until = performance.now() + timeout;
    const all = [...this.members];
    // those that don't serve yet have nobody to say goodbye to
    for (const member of all) if (!member.isServing) member.end();
    const serving = all.filter(({ isServing }) => isServing);
    const stopped = Promise.all(serving.map(({ link }) => link.call("stopListening").catch(ignore)));
    // one that hangs keeps nobody from being sent away, and is ended when its time is over
    await Promise.race([stopped, sleep(Math.min(timeout, LATEST_STOP), undefined, { ref: false })]);
    for (const [index, member] of serving.entries()) {
      await member.close(Math.max(1, (until - performance.now()) / (serving.length - index)));
    }
    await Promise.all(all.map(({ ended }) => ended));
  }

  /** A port that is free is chosen here and not by the first worker: those that take its place later serve the same one. */
  private async startFirst(): Promise<string> {
    if (this.plan.port !== 0) return this.startOne();
    for (let tries = 1; ; tries++) {
      this.plan = { ...this.plan, port: await freePort(this.plan.host) };
      try {
        return await this.startOne();
      } catch (error) {
        const isTaken = error instanceof Error && "code" in error && error.code === "EADDRINUSE";
        if (!isTaken || tries === PORT_TRIES) throw error;
      }
    }
  }

  private async startOne(): Promise<string> {
    const member = this.fork();
    const { plan } = this;
    const url = await member.start(plan, this.shared);
    const { certificate } = this.plan;
    // it began with the one before
    if (certificate !== undefined && certificate !== plan.certificate) member.link.note("setCertificate", certificate);
    return url;
  }

  private fork(): Member {
    const calls = {
      broadcast: (type: "text" | "binary", bytes: Uint8Array) => this.broadcast(type, bytes),
      allFigures: () => this.allFigures(),
    };
    const member = new Member(cluster.fork(), calls, (link) => this.stores.accessFor(link), this.log);
    this.members.add(member);
    void member.ended.then(({ code, signal }) => this.onEnd(member, code, signal));
    return member;
  }

  private async onEnd(member: Member, code: number | null, signal: string | null): Promise<void> {
    this.members.delete(member);
    const { figures, readyAt, dropped, id, pid } = member;
    if (figures !== undefined) this.past = this.past.then((before) => addFigures([before, countsOf(figures)]));
    this.dropped.publications += dropped.publications;
    this.dropped.broadcasts += dropped.broadcasts;
    await member.stores.end();
    // a start that failed is told by itself
    if (this.closing || readyAt === undefined) return;
    this.log.error({ worker: id, pid, code, signal }, "a worker has ended; another one takes its place");
    if (performance.now() - readyAt >= QUICK_DEATH) this.failures = 0;
    await this.replace();
  }

  /** The first time at once; workers that die again and again take longer and longer. */
  private async replace(): Promise<void> {
    while (!this.closing) {
      const delay = this.failures === 0 ? 0 : Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** (this.failures - 1));
      this.failures++;
      await sleep(delay);
      if (this.isClosing()) return;
      try {
        await this.startOne();
        this.replaced++;
        return;
      } catch (error) {
        if (this.isClosing()) return;
        this.log.error({ err: error }, "a worker can't be started");
      }
    }
  }

  /** It may have changed while something was waited for. */
  private isClosing(): boolean {
    return this.closing;
  }

  /** Ends workers whose event loop does not go on; `due`: when this was to be called. */
  private watch(due: number): void {
    const now = performance.now();
    // this process itself did not go on: what the workers said meanwhile has not been read yet
    const stoodStill = now - due > HEARTBEAT;
    for (const member of this.members) {
      if (!member.isServing) continue;
      if (stoodStill) member.aliveAt = now;
      if (now - member.aliveAt >= HUNG) member.kill(`no sign of life for ${HUNG} ms`);
      else member.ping();
    }
    this.memory.set(this.heldByLinks());
    setTimeout(() => this.watch(now + HEARTBEAT), HEARTBEAT).unref();
  }

  private heldByLinks(): number {
    let bytes = 0;
    for (const { link } of this.members) bytes += link.held;
    return bytes;
  }

  private async broadcast(type: "text" | "binary", bytes: Uint8Array): Promise<void> {
    const serving = [...this.members].filter(({ isServing }) => isServing);
    for (const { link } of serving) link.note("broadcast", type, bytes);
    await Promise.all(serving.map(({ link }) => link.room()));
  }

  private async allFigures(): Promise<readonly Figures[]> {
    const serving = [...this.members].filter(({ isServing }) => isServing);
    const asked = serving.map(async (member) => {
      const answer = member.link.call("figures").then((figures) => (member.figures = figures), ignore);
      // one that is busy, or ends meanwhile, is not waited for: what it said last will do
      await Promise.race([answer, sleep(LATEST_FIGURES, undefined, { ref: false })]);
      return member.figures ?? NO_FIGURES;
    });
    const own: Figures = { ...NO_FIGURES, hub: this.ownFamilies() };
    return [...(await Promise.all(asked)), await this.past, own];
  }

  private ownFamilies(): Figures["hub"] {
    const dropped = { ...this.dropped };
    for (const member of this.members) {
      dropped.publications += member.dropped.publications;
      dropped.broadcasts += member.dropped.broadcasts;
    }
    return primaryFamilies({
      workers: [...this.members].filter(({ isServing }) => isServing).length,
      replaced: this.replaced,
      linkBytes: this.heldByLinks(),
      dropped,
      memory: sharedMemoryBudget.use.parts,
    });
  }
}

/** A port that nobody has at this moment. */
async function freePort(host: string): Promise<number> {
  const server = createServer();
  server.listen(0, host);
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

const ignore = (): void => undefined;
