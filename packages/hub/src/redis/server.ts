import { StoreUnavailableError } from "../broker/broker.ts";
import { type ConnectionOptions, Link, type LinkContext, type LinkEvents } from "./link.ts";
import { typeProbe } from "./keys.ts";
import { kindOf, Refusals, StoreFullError, WRONG_TYPE } from "./refusals.ts";
import { type Script, SCRIPTS } from "./scripts.ts";
import { HubError } from "../errors.ts";

/** One server of a deployment that takes commands. */
export class Server {
  readonly name: string;
  /** Options for further connections to the server. */
  readonly options: ConnectionOptions;
  private readonly link: Link;
  private readonly refusals: Refusals;
  private readonly context: LinkContext;

  constructor(name: string, options: ConnectionOptions, context: LinkContext, onDown?: () => void) {
    this.name = name;
    this.options = options;
    this.context = context;
    const events: LinkEvents = {
      up: () => {
        for (const { text } of Object.values(SCRIPTS)) this.link.redis.script("LOAD", text).catch(() => undefined);
      },
      ...(onDown === undefined ? {} : { down: onDown }),
    };
    this.link = new Link(name, options, context, events);
    this.refusals = new Refusals(name);
  }

  get isUp(): boolean {
    return this.link.isUp;
  }

  open(): Promise<void> {
    return this.link.open();
  }

  openLater(): void {
    this.link.openLater();
  }

  close(): void {
    this.link.close();
  }

  /** Resolves when it is connected, at the latest after the time-out. */
  whenUp(): Promise<void> {
    return this.link.whenUp();
  }

  /** Runs a command. */
  call(command: string, ...args: readonly string[]): Promise<unknown> {
    const keys = args.slice(0, 1);
    return this.timed(
      () => this.link.redis.call(command, ...args),
      (error) => this.refused(error, keys),
    );
  }

  /**
   * Runs a command that the server may refuse. Rejects with the original error reply, which the
   * caller handles. It does not count as a report of that kind of refusal.
   */
  ask(command: string, ...args: readonly string[]): Promise<unknown> {
    return this.timed(
      () => this.link.redis.call(command, ...args),
      (error) => error,
    );
  }

  /** Runs a script. `asking`: the key is being moved to this server. */
  run(script: Script, keys: readonly string[], args: readonly (string | number)[], asking = false): Promise<unknown> {
    return this.timed(
      async () => {
        const { redis } = this.link;
        const ask = (): void => {
          if (asking) redis.asking().catch(() => undefined);
        };
        ask();
        try {
          return await redis.evalsha(script.sha, keys.length, ...keys, ...args);
        } catch (error) {
          if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
          ask();
          return await redis.eval(script.text, keys.length, ...keys, ...args);
        }
      },
      (error) => this.refused(error, keys),
    );
  }

  /** Returns the error for an error in a part of a reply. `keys`: the keys of that part. */
  refusal(message: string, keys: readonly string[]): Promise<unknown> {
    if (message.includes("READONLY")) this.link.leaveReplica();
    return this.refused(new HubError("STORE_REFUSED", message), keys);
  }

  /**
   * Reports that publications with history are refused because too much memory is used; every 10 s
   * at most.
   */
  reportFull(message: string): void {
    if (this.refusals.takeFullReport()) this.context.settings.onError(new HubError("QUOTA_EXCEEDED", message));
  }

  private async refused(error: unknown, keys: readonly string[]): Promise<unknown> {
    this.context.metrics.failures++;
    const isToName = error instanceof Error && kindOf(error) === WRONG_TYPE && this.refusals.reports(WRONG_TYPE);
    const refusal = this.refusals.of(error, isToName ? await this.wrongKeys(keys) : []);
    if (refusal instanceof StoreFullError) this.reportFull(refusal.message);
    return refusal;
  }

  /** Redis does not say which key has a wrong type. */
  private async wrongKeys(keys: readonly string[]): Promise<string[]> {
    const isWrong = async (key: string): Promise<boolean> => {
      const [command, ...args] = typeProbe(key);
      return await this.link.redis.call(command, key, ...args).then(
        () => false,
        (error: unknown) => error instanceof Error && kindOf(error) === WRONG_TYPE,
      );
    };
    const unique = [...new Set(keys)];
    const wrong = await Promise.all(unique.map(isWrong));
    return unique.filter((_, index) => wrong[index]);
  }

  /** `refused`: returns the error to throw for an error reply. */
  private async timed(command: () => Promise<unknown>, refused: (error: unknown) => unknown): Promise<unknown> {
    const { metrics } = this.context;
    if (!this.link.isUp) {
      metrics.failures++;
      throw new StoreUnavailableError(`Redis at ${this.name} is not connected`);
    }
    const started = performance.now();
    this.link.cork();
    try {
      return await command();
    } catch (error) {
      forgetCommand(error);
      if (this.link.isUp || isRefusal(error)) throw await refused(error);
      metrics.failures++;
      throw new StoreUnavailableError(`Redis at ${this.name} was lost before it answered`, { cause: error });
    } finally {
      metrics.roundTrips.observe(performance.now() - started);
    }
  }
}

/** Whether an error is a reply of the server, not a lost connection. */
function isRefusal(error: unknown): boolean {
  return error instanceof Error && error.name === "ReplyError";
}

/**
 * Removes the command from an error of ioredis: a log of the error would contain the publication.
 */
function forgetCommand(error: unknown): void {
  if (error instanceof Error && "command" in error) delete error.command;
}
