import type { Duplex } from "node:stream";
import { deserialize } from "node:v8";
import { type Losses, type Message, Outgoing, type OutgoingLimits, type PlainError } from "./outgoing.ts";
import { Packets } from "./packets.ts";

const SLICE = 5; // ms of messages that are handled before anything else has its turn
const DEADLINE = 10_000; // ms for the answer to a call
const LOOK = 1_000; // ms between two looks for calls that are overdue, and for waiters

/** Why a call has no result: it had no answer in time, too much waits for the other end, or that is gone. */
export class LinkError extends Error {
  override readonly name = "LinkError";
}

/** What one end does for the other, by name. */
type Functions<T> = { readonly [N in keyof T]: (...args: never[]) => unknown };

interface Waiting {
  readonly name: string;
  /** When it is overdue. */
  readonly until: number;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export interface LinkOptions {
  readonly limits?: OutgoingLimits;
  /** Names of notes that may be lost. Default: none. */
  readonly droppable?: ReadonlySet<string>;
  /** Notes were lost, and may be sent again now: what is sent from here goes ahead of them. */
  readonly onLoss?: (losses: Losses) => void;
  /** The other end does not take what it has to. */
  readonly onOverflow?: () => void;
  /** How many bytes wait. */
  readonly onHeld?: (bytes: number) => void;
  /** Stops reading while the other end does not take its answers. One end of the two only, or they would wait for each other. Default: false. */
  readonly pauses?: boolean;
  /** ms */
  readonly now?: () => number;
  /** Calls `callback` once after `delay` ms; the process does not wait for that. Returns how to prevent it. */
  readonly after?: (delay: number, callback: () => void) => () => void;
}

const LIMITS: OutgoingLimits = { held: 8 * 1024 * 1024, essential: 32 * 1024 * 1024 };

/**
 * Calls and notes between two processes. What is said in one tick leaves together. Whatever waits for the other end is bounded, and each call has a
 * deadline. `Theirs`: what the other end does for this one.
 */
export class Link<Theirs extends Functions<Theirs>> {
  private readonly packets: Packets;
  private readonly outgoing: Outgoing;
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
  private over = false;
  private stopLooking: (() => void) | undefined;

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
    this.outgoing = new Outgoing({
      limits: options.limits ?? LIMITS,
      droppable: options.droppable ?? new Set(),
      send: (packet, done) => this.packets.send(packet, done),
      now: this.now,
      onTaken: () => this.taken(),
      onRecovered: (losses) => options.onLoss?.(losses),
      onOverflow: () => options.onOverflow?.(),
    });
  }

  /** Bytes that wait for the other end. */
  get held(): number {
    return this.outgoing.held;
  }

  /** Whether the other end takes what it is sent, as far as that is known. */
  get isTaking(): boolean {
    return !this.over && !this.outgoing.isFull;
  }

  /** Rejects with what the other end threw, or with a LinkError. */
  call<N extends keyof Theirs & string>(
    name: N,
    ...args: Parameters<Theirs[N]>
  ): Promise<Awaited<ReturnType<Theirs[N]>>> {
    return this.callWithin(DEADLINE, name, ...args);
  }

  /** The same with another deadline than 10 s, in ms. */
  callWithin<N extends keyof Theirs & string>(
    deadline: number,
    name: N,
    ...args: Parameters<Theirs[N]>
  ): Promise<Awaited<ReturnType<Theirs[N]>>> {
    return new Promise((resolve, reject) => {
      if (this.over) return reject(new LinkError("the other process has ended"));
      if (this.outgoing.isFull) return reject(new LinkError("the other process takes no more calls"));
      const id = ++this.calls;
      this.waiting.set(id, {
        name,
        until: this.now() + deadline,
        resolve: (value) => resolve(value as Awaited<ReturnType<Theirs[N]>>),
        reject,
      });
      this.outgoing.push(["call", id, name, args]);
      this.look();
    });
  }

  /** Without an answer. One of the names that may be lost is lost while too much waits. */
  note<N extends keyof Theirs & string>(name: N, ...args: Parameters<Theirs[N]>): void {
    this.outgoing.push(["note", name, args]);
  }

  /** Resolves when the other end has taken nearly all, or is not to be waited for. */
  room(): Promise<void> {
    if (this.outgoing.isReady) return Promise.resolve();
    return new Promise((resolve) => {
      this.roomWaiters.push(resolve);
      this.look();
    });
  }

  private taken(): void {
    this.options.onHeld?.(this.outgoing.held);
    if (this.roomWaiters.length > 0 && this.outgoing.isReady)
      for (const resolve of this.roomWaiters.splice(0)) resolve();
    this.read();
  }

  /** While anything is waited for, looks whether that takes too long. */
  private look(): void {
    this.stopLooking ??= this.after(LOOK, () => {
      this.stopLooking = undefined;
      const now = this.now();
      for (const [id, waiting] of this.waiting) {
        if (waiting.until > now) continue;
        this.waiting.delete(id);
        waiting.reject(new LinkError(`the other process has not answered in time: ${waiting.name}`));
      }
      if (this.outgoing.isReady) for (const resolve of this.roomWaiters.splice(0)) resolve();
      if (this.waiting.size > 0 || this.roomWaiters.length > 0) this.look();
    });
  }

  private receive(messages: readonly Message[]): void {
    this.incoming.push(...messages);
    if (!this.isScheduled) this.handle();
  }

  /** Handles what has come, for so long at a time. Nothing more is read meanwhile. */
  private handle(): void {
    const start = performance.now();
    while (!this.over) {
      const message = this.incoming[this.next];
      if (message === undefined) break;
      this.next++;
      this.take(message);
      if (performance.now() - start < SLICE || this.next === this.incoming.length) continue;
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

  /** Reads more if that may be. */
  private read(): void {
    if (this.over) return;
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

  /** Both ends are of one version: what comes is what the types say. */
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
    this.over = true;
    this.stopLooking?.();
    this.outgoing.end();
    this.options.onHeld?.(0);
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
