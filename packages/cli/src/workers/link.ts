/** One end of a way between two processes. What is sent arrives whole and in order, or not at all once the way has ended. */
export interface Channel {
  /** `done`: it is with the system, or lost. */
  send(messages: readonly Message[], done: () => void): void;
  /** Called once: who gets what comes, and is told of the end. */
  listen(receive: (messages: readonly Message[]) => void, ended: () => void): void;
}

/** A call, its result, its failure; or what needs no answer. Can be cloned. */
export type Message =
  | readonly [type: "call", id: number, name: string, args: readonly unknown[]]
  | readonly [type: "result", id: number, value: unknown]
  | readonly [type: "failure", id: number, error: PlainError]
  | readonly [type: "note", name: string, args: readonly unknown[]];

interface PlainError {
  readonly message: string;
  readonly code?: string;
  readonly syscall?: string;
}

/** What one end does for the other, by name. */
type Functions<T> = { readonly [N in keyof T]: (...args: never[]) => unknown };

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/**
 * Calls and notes between two processes. What is said in one turn of the event loop leaves in one piece. `Theirs`: what the other end does for
 * this one.
 */
export class Link<Theirs extends Functions<Theirs>> {
  private readonly channel: Channel;
  private readonly ours: ReadonlyMap<string, (...args: never[]) => unknown>;
  private readonly waiting = new Map<number, Waiting>();
  private queue: Message[] = [];
  private dones: (() => void)[] = [];
  private calls = 0;
  private over = false;

  constructor(channel: Channel, ours: Readonly<Record<string, (...args: never[]) => unknown>>) {
    this.channel = channel;
    this.ours = new Map(Object.entries(ours));
    channel.listen(
      (messages) => {
        for (const message of messages) this.receive(message);
      },
      () => this.end(),
    );
  }

  /** Rejects with what the other end threw, or when the way has ended. */
  call<N extends keyof Theirs & string>(
    name: N,
    ...args: Parameters<Theirs[N]>
  ): Promise<Awaited<ReturnType<Theirs[N]>>> {
    return new Promise((resolve, reject) => {
      if (this.over) {
        reject(ended());
        return;
      }
      const id = ++this.calls;
      this.waiting.set(id, { resolve: (value) => resolve(value as Awaited<ReturnType<Theirs[N]>>), reject });
      this.push(["call", id, name, args]);
    });
  }

  /** Without an answer. */
  note<N extends keyof Theirs & string>(name: N, ...args: Parameters<Theirs[N]>): void {
    this.push(["note", name, args]);
  }

  /** Resolves when all that was said is with the system, or lost. */
  flushed(): Promise<void> {
    return new Promise((resolve) => {
      if (this.queue.length === 0) resolve();
      else this.dones.push(resolve);
    });
  }

  private push(message: Message): void {
    if (this.over) return;
    if (this.queue.push(message) === 1) setImmediate(() => this.flush());
  }

  private flush(): void {
    const { queue, dones } = this;
    this.queue = [];
    this.dones = [];
    const done = (): void => {
      for (const each of dones) each();
    };
    if (this.over) done();
    else this.channel.send(queue, done);
  }

  private receive(message: Message): void {
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
    const failed = (error: unknown): void => this.push(["failure", id, plain(error)]);
    try {
      const result = this.run(name, args);
      if (result instanceof Promise) result.then((value: unknown) => this.push(["result", id, value]), failed);
      else this.push(["result", id, result]);
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
    for (const waiting of this.waiting.values()) waiting.reject(ended());
    this.waiting.clear();
    this.flush();
  }
}

function ended(): Error {
  return new Error("the other process has ended");
}

function plain(error: unknown): PlainError {
  if (!(error instanceof Error)) return { message: String(error) };
  const { message, code, syscall } = error as NodeJS.ErrnoException;
  return { message, ...(code === undefined ? {} : { code }), ...(syscall === undefined ? {} : { syscall }) };
}
