import type { Duplex } from "node:stream";
import { deserialize } from "node:v8";
import { type Losses, type Message, SendQueue, type SendQueueLimits, type PlainError } from "./send-queue.ts";
import { Packets } from "./packets.ts";

const SLICE_MS = 5; // ms of handling messages before yielding to the event loop
const DEADLINE = 10_000; // ms for the reply to a call
const CHECK_INTERVAL = 1_000; // ms between two checks for calls past their deadline

/** A call failed: no reply in time, too many bytes queued, or the other process has ended. */
export class LinkError extends Error {
  override readonly name = "LinkError";
}

/** The functions that one process provides to the other, by name. */
type Functions<T> = { readonly [N in keyof T]: (...args: never[]) => unknown };

interface Waiting {
  readonly name: string;
  /** Deadline, in ms. */
  readonly until: number;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export interface LinkOptions {
  readonly limits?: SendQueueLimits;
  /** Names of notifications that may be dropped. Default: none. */
  readonly droppable?: ReadonlySet<string>;
  /**
   * Called when notifications were dropped and can be sent again. Notifications sent from this
   * callback precede all others.
   */
  readonly onLoss?: (losses: Losses) => void;
  /** Called when messages that must not be dropped exceed their limit. */
  readonly onOverflow?: () => void;
  /** Called with the number of queued bytes. */
  readonly onQueued?: (bytes: number) => void;
  /**
   * Stops reading while the other process does not accept replies. Set it on one side only,
   * otherwise both can wait for each other. Default: false.
   */
  readonly pauses?: boolean;
  /** Returns ms. */
  readonly now?: () => number;
  /**
   * Calls `callback` once after `delay` ms without keeping the process alive. Returns a function
   * that cancels it.
   */
  readonly after?: (delay: number, callback: () => void) => () => void;
}

const LIMITS: SendQueueLimits = { queuedBytes: 8 * 1024 * 1024, undroppable: 32 * 1024 * 1024 };

/**
 * Calls and notifications between two processes. Messages of one event-loop tick are sent together.
 * Queued bytes are bounded and each call has a deadline. `Theirs` lists the functions of the other
 * process.
 */
export class Link<Theirs extends Functions<Theirs>> {
  private readonly packets: Packets;
  private readonly outgoing: SendQueue;
  private readonly ours: ReadonlyMap<string, (...args: never[]) => unknown>;
  private readonly options: LinkOptions;
  private readonly now: () => number;
  private readonly after: (delay: number, callback: () => void) => () => void;
  private readonly waiting = new Map<number, Waiting>();
  private roomWaiters: (() => void)[] = [];
  private incoming: Message[] = [];
  private next = 0;
  private isScheduled = false;
  private calls = 0;
  private isClosed = false;
  private cancelCheck: (() => void) | undefined;

  constructor(
    stream: Duplex,
    ours: Readonly<Record<string, (...args: never[]) => unknown>>,
    options: LinkOptions = {},
  ) {
    this.options = options;
    this.now = options.now ?? (() => performance.now());
    this.after = options.after ?? afterUnref;
    this.ours = new Map(Object.entries(ours));
    this.packets = new Packets(stream, {
      receive: (payload) => this.receive(deserialize(payload) as Message[]),
      ended: () => this.end(),
    });
    this.outgoing = new SendQueue({
      limits: options.limits ?? LIMITS,
      droppable: options.droppable ?? new Set(),
      send: (packet, done) => this.packets.send(packet, done),
      now: this.now,
      onTaken: () => this.taken(),
      onRecovered: (losses) => options.onLoss?.(losses),
      onOverflow: () => options.onOverflow?.(),
    });
  }

  /** Bytes queued for the other process. */
  get queuedBytes(): number {
    return this.outgoing.queuedBytes;
  }

  /** Whether the other process accepts messages, as far as known. */
  get isTaking(): boolean {
    return !this.isClosed && !this.outgoing.isFull;
  }

  /**
   * Calls a function of the other process. Rejects with the error it threw, or with a `LinkError`.
   */
  call<N extends keyof Theirs & string>(
    name: N,
    ...args: Parameters<Theirs[N]>
  ): Promise<Awaited<ReturnType<Theirs[N]>>> {
    return this.callWithin(DEADLINE, name, ...args);
  }

  /** As `call`, with a deadline in ms. The default is 10 s. */
  callWithin<N extends keyof Theirs & string>(
    deadline: number,
    name: N,
    ...args: Parameters<Theirs[N]>
  ): Promise<Awaited<ReturnType<Theirs[N]>>> {
    return new Promise((resolve, reject) => {
      if (this.isClosed) return reject(new LinkError("the other process has ended"));
      if (this.outgoing.isFull) return reject(new LinkError("the other process takes no more calls"));
      const id = ++this.calls;
      this.waiting.set(id, {
        name,
        until: this.now() + deadline,
        resolve: (value) => resolve(value as Awaited<ReturnType<Theirs[N]>>),
        reject,
      });
      this.outgoing.push(["call", id, name, args]);
      this.scheduleCheck();
    });
  }

  /**
   * Calls a function without waiting for a reply. Droppable notifications are dropped while too
   * many bytes are queued.
   */
  note<N extends keyof Theirs & string>(name: N, ...args: Parameters<Theirs[N]>): void {
    this.outgoing.push(["note", name, args]);
  }

  /** Resolves when the other process has accepted almost everything, or need not be waited for. */
  room(): Promise<void> {
    if (this.outgoing.isReady) return Promise.resolve();
    return new Promise((resolve) => {
      this.roomWaiters.push(resolve);
      this.scheduleCheck();
    });
  }

  private taken(): void {
    this.options.onQueued?.(this.outgoing.queuedBytes);
    if (this.roomWaiters.length > 0 && this.outgoing.isReady)
      for (const resolve of this.roomWaiters.splice(0)) resolve();
    this.read();
  }

  /** Checks deadlines every second while calls or waiters are pending. */
  private scheduleCheck(): void {
    this.cancelCheck ??= this.after(CHECK_INTERVAL, () => {
      this.cancelCheck = undefined;
      const now = this.now();
      for (const [id, waiting] of this.waiting) {
        if (waiting.until > now) continue;
        this.waiting.delete(id);
        waiting.reject(new LinkError(`the other process did not reply in time: ${waiting.name}`));
      }
      if (this.outgoing.isReady) for (const resolve of this.roomWaiters.splice(0)) resolve();
      if (this.waiting.size > 0 || this.roomWaiters.length > 0) this.scheduleCheck();
    });
  }

  private receive(messages: readonly Message[]): void {
    this.incoming.push(...messages);
    if (!this.isScheduled) this.handle();
  }

  /** Handles received messages for one time slice. Nothing more is read until all are handled. */
  private handle(): void {
    const start = performance.now();
    while (!this.isClosed) {
      const message = this.incoming[this.next];
      if (message === undefined) break;
      this.next++;
      this.take(message);
      if (performance.now() - start < SLICE_MS || this.next === this.incoming.length) continue;
      this.isScheduled = true;
      setImmediate(() => {
        this.isScheduled = false;
        this.handle();
      });
      break;
    }
    if (this.next === this.incoming.length) {
      this.incoming = [];
      this.next = 0;
    }
    this.read();
  }

  /** Resumes or pauses reading. */
  private read(): void {
    if (this.isClosed) return;
    const waits = this.options.pauses === true && this.outgoing.isFull;
    if (this.isScheduled || waits) this.packets.pause();
    else this.packets.resume();
  }

  private take(message: Message): void {
    switch (message[0]) {
      case "call": {
        const [, id, name, args] = message;
        this.answer(id, name, args);
        return;
      }
      case "note": {
        const [, name, args] = message;
        this.run(name, args);
        return;
      }
      case "result":
        this.settle(message[1])?.resolve(message[2]);
        return;
      case "failure": {
        const { message: text, ...more } = message[2];
        this.settle(message[1])?.reject(Object.assign(new Error(text), more));
      }
    }
  }

  /** Both processes run the same version, so the types of messages hold. */
  private run(name: string, args: readonly unknown[]): unknown {
    return this.ours.get(name)?.(...([...args] as never[]));
  }

  private answer(id: number, name: string, args: readonly unknown[]): void {
    const failed = (error: unknown): void => this.outgoing.push(["failure", id, plain(error)]);
    try {
      const result = this.run(name, args);
      if (result instanceof Promise) {
        result.then((value: unknown) => this.outgoing.push(["result", id, value]), failed);
      } else this.outgoing.push(["result", id, result]);
    } catch (error) {
      failed(error);
    }
  }

  private settle(id: number): Waiting | undefined {
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    return waiting;
  }

  private end(): void {
    this.isClosed = true;
    this.cancelCheck?.();
    this.outgoing.end();
    this.options.onQueued?.(0);
    for (const waiting of this.waiting.values()) waiting.reject(new LinkError("the other process has ended"));
    this.waiting.clear();
    for (const resolve of this.roomWaiters.splice(0)) resolve();
  }
}

function afterUnref(delay: number, callback: () => void): () => void {
  const timer = setTimeout(callback, delay);
  timer.unref();
  return () => clearTimeout(timer);
}

function plain(error: unknown): PlainError {
  if (!(error instanceof Error)) return { message: String(error) };
  const { message, code, syscall } = error as NodeJS.ErrnoException;
  return { message, ...(code === undefined ? {} : { code }), ...(syscall === undefined ? {} : { syscall }) };
}
