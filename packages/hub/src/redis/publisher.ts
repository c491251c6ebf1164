import type { BrokerResult } from "../broker/broker.ts";
import type { Deployment, Redirection } from "./deployment.ts";
import { publicationError } from "./memory-quota.ts";
import { SCRIPTS } from "./scripts.ts";
import { slotOf } from "./slots.ts";
import { HubError } from "../errors.ts";

/**
 * Publications in one call of the script: enough to make the cost of the call negligible, and few
 * enough to take less than 1 ms.
 */
const AT_ONCE = 64;
// limits of publications without a reply; further ones are rejected
const MOST_WAITING = 100_000; // publications
const MOST_WAITING_LENGTH = 128 * 1024 * 1024; // characters
const TRIES = 5;
// the third value of a publication's reply
const DUPLICATE = 1;
const FAILED = -1;

/** A publication as arguments of the script. */
interface Item {
  readonly name: string;
  /** meta, stream, idempotency key or meta again */
  readonly keys: readonly [string, string, string];
  /** channel, body, history size, its TTL, meta TTL, idempotency TTL or "" */
  readonly args: readonly [string, string, number, number, number, number | ""];
  resolve(result: BrokerResult): void;
  reject(error: unknown): void;
}

/** A slot of a cluster with publications in progress. */
interface Lane {
  calls: number;
  /**
   * Publications that wait for the replies, to keep the order: one of those in progress was
   * redirected to another server.
   */
  behind: Item[] | undefined;
}

/** Sends publications in order. The publications of a tick are sent in few calls. */
export class Publisher {
  private readonly deployment: Deployment;
  private readonly newEpoch: () => string;
  private readonly lanes = new Map<number, Lane>();
  private waiting: Item[] = [];
  private unanswered = 0;
  private unansweredLength = 0;

  /** `newEpoch` returns a unique string. */
  constructor(deployment: Deployment, newEpoch: () => string) {
    this.deployment = deployment;
    this.newEpoch = newEpoch;
  }

  publish(name: string, keys: Item["keys"], args: Item["args"]): Promise<BrokerResult> {
    if (this.unanswered >= MOST_WAITING || this.unansweredLength >= MOST_WAITING_LENGTH) {
      const message = `${this.unanswered} publications wait for Redis at ${this.deployment.name}: no more are taken`;
      return Promise.reject(new HubError("STORE_UNAVAILABLE", message));
    }
    this.unanswered++;
    this.unansweredLength += args[1].length;
    return new Promise((resolve, reject) => {
      if (this.waiting.push({ name, keys, args, resolve, reject }) === 1) setImmediate(() => this.flush());
    });
  }

  private flush(): void {
    const items = this.waiting;
    this.waiting = [];
    if (!this.deployment.isCluster) {
      this.sendAll(items);
      return;
    }
    const bySlot = new Map<number, Item[]>();
    for (const item of items) {
      const slot = slotOf(item.name);
      const group = bySlot.get(slot);
      if (group === undefined) bySlot.set(slot, [item]);
      else group.push(item);
    }
    for (const [slot, group] of bySlot) this.sendIn(slot, group);
  }

  private sendIn(slot: number, items: readonly Item[]): void {
    const lane = this.lanes.get(slot) ?? { calls: 0, behind: undefined };
    if (lane.behind !== undefined) {
      for (const item of items) lane.behind.push(item);
      return;
    }
    this.lanes.set(slot, lane);
    this.sendAll(items, lane, () => {
      if (--lane.calls > 0) return;
      this.lanes.delete(slot);
      if (lane.behind !== undefined && lane.behind.length > 0) this.sendIn(slot, lane.behind);
    });
  }

  /** Returns publications that can be sent in one call. */
  private sendAll(items: readonly Item[], lane?: Lane, done?: () => void): void {
    for (let i = 0; i < items.length; i += AT_ONCE) {
      if (lane !== undefined) lane.calls++;
      const sent = this.send(items.slice(i, i + AT_ONCE), lane);
      if (done !== undefined) void sent.then(done);
    }
  }

  private async send(items: readonly Item[], lane: Lane | undefined): Promise<void> {
    const { deployment } = this;
    const name = items[0]?.name ?? "";
    let results: readonly unknown[];
    let at: Redirection;
    try {
      at = { server: deployment.serverOf(name), asking: false };
      for (let tries = 1; ; tries++) {
        try {
          results = (await this.call(at, items)) as readonly unknown[];
          break;
        } catch (error) {
          if (lane !== undefined) lane.behind ??= [];
          const next = tries < TRIES ? await deployment.redirect(error, name) : undefined;
          if (next === undefined) throw error;
          at = next;
        }
      }
    } catch (error) {
      this.answered(items);
      for (const item of items) item.reject(publicationError(error));
      return;
    }
    this.answered(items);
    for (const [i, item] of items.entries()) {
      const offset = Number(results[3 * i]);
      const epoch = String(results[3 * i + 1]);
      const state = results[3 * i + 2];
      if (state === FAILED)
        void at.server.refusal(epoch, item.keys).then((error) => item.reject(publicationError(error)));
      else item.resolve({ offset, epoch, duplicate: state === DUPLICATE, fanOut: undefined });
    }
  }

  private answered(items: readonly Item[]): void {
    this.unanswered -= items.length;
    for (const { args } of items) this.unansweredLength -= args[1].length;
  }

  private call({ server, asking }: Redirection, items: readonly Item[]): Promise<unknown> {
    const keys: string[] = [];
    const args: (string | number)[] = [this.deployment.publishes, this.newEpoch()];
    for (const item of items) {
      keys.push(...item.keys);
      args.push(...item.args);
    }
    return server.run(SCRIPTS.publish, keys, args, asking);
  }
}
