import type { FanOut, PendingFanOut } from "../broker/broker.ts";
import { SharedMessage, type WhenFull } from "../output/connection.ts";
import type { PublicationPush } from "../protocol/publication-push.ts";
import { NO_BASE, type Subscription } from "./subscription.ts";

/** Maximum bytes of pushes that are joined to one message; beyond it each push is a message. */
export const MOST_JOINED = 64 * 1024;

/** The publications of one tick as one message, for subscribers that get all of them. */
export interface Joined {
  readonly message: SharedMessage;
  readonly counts: FanOut;
  /** Number of the first of them. */
  readonly number: number;
  /** Offsets of the first and the last publication with one; 0: none has. */
  readonly first: number;
  readonly last: number;
}

/** The delivery of a publication to the subscribers of this node. */
export class Delivery implements PendingFanOut {
  readonly push: PublicationPush;
  readonly publishedAt: number;
  readonly number: number;
  readonly counts: FanOut = { delivered: 0, queued: 0, dropped: 0, disconnected: 0 };
  private isDone = false;
  private readonly waiting: ((counts: FanOut) => void)[] = [];

  constructor(push: PublicationPush, publishedAt: number, number: number) {
    this.push = push;
    this.publishedAt = publishedAt;
    this.number = number;
  }

  settled(): Promise<FanOut> {
    return this.isDone ? Promise.resolve(this.counts) : new Promise((resolve) => this.waiting.push(resolve));
  }

  /** It has reached all subscribers. */
  done(): void {
    this.isDone = true;
    for (const resolve of this.waiting) resolve(this.counts);
  }
}

/** Returns undefined if there is only one, if they are too large, or if they replace each other. */
export function joinDeliveries(due: readonly Delivery[], whenFull: WhenFull): Joined | undefined {
  const [first] = due;
  if (first === undefined || due.length === 1 || whenFull === "conflate") return undefined;
  let size = 0;
  for (const { push } of due) size += push.plain.size + 1;
  if (size > MOST_JOINED) return undefined;
  const text = due.map(({ push }) => push.plain.text).join("\n");
  const offsets = due.map(({ push }) => push.publication.offset).filter((offset) => offset > 0);
  return {
    message: new SharedMessage(text, whenFull, "", size - 1),
    counts: { delivered: 0, queued: 0, dropped: 0, disconnected: 0 },
    number: first.number,
    first: offsets[0] ?? 0,
    last: offsets.at(-1) ?? 0,
  };
}

/** Whether a subscriber gets all of them, without deltas. */
export function takesJoined(subscription: Subscription, { number, first, last }: Joined): boolean {
  if (
    !subscription.live ||
    subscription.isBehind ||
    subscription.delta ||
    subscription.after >= number ||
    !subscription.outbox.isFree
  )
    return false;
  return last === 0 || first > subscription.offset;
}

export function deliverTo(subscription: Subscription, { push, counts, number }: Delivery): void {
  const { offset } = push.publication;
  if (!subscription.live || subscription.after >= number) return;
  if (offset > 0 && (subscription.isBehind || offset <= subscription.offset)) return;
  if (offset > 0) subscription.offset = offset;
  if (!subscription.delta) {
    subscription.outbox.share(push.plain, counts, number);
    return;
  }
  const base = subscription.deltaBase;
  subscription.deltaBase = offset > 0 ? offset : NO_BASE;
  subscription.outbox.share(base === NO_BASE ? push.full : push.deltaTo(base), counts, number);
}
