import type { ConnectionOptions, LinkContext } from "./link.ts";
import type { Script } from "./scripts.ts";
import { Server } from "./server.ts";
import { describeRedis, type RedisUrl } from "./urls.ts";

const OLDEST = [6, 2] as const;
const TRIES = 5; // of a command that is sent from one server of a cluster to another

/** Where a cluster says that a key is. */
export interface Redirection {
  readonly server: Server;
  /** It is on its way there: only what says so is let in. */
  readonly asking: boolean;
}

/** What hubs share: one Redis, a primary with replicas and sentinels, or a cluster. */
export interface Deployment {
  /** Without credentials. */
  readonly name: string;
  /** Whether keys of different slots are on different servers. */
  readonly isCluster: boolean;
  /** How to publish: SPUBLISH reaches those who SSUBSCRIBE to the slot's server. */
  readonly publishes: "PUBLISH" | "SPUBLISH";
  /** Rejects where it can't be reached, or is no Redis of a version that will do. */
  start(): Promise<void>;
  stop(): void;
  /** Servers that have keys. */
  servers(): readonly Server[];
  /** Throws where no server is known. */
  serverOf(key: string): Server;
  /** Where to try again after an error. Undefined: nowhere, it is the error of what was asked. */
  redirect(error: unknown, key: string): Promise<Redirection | undefined>;
  /** Something looks as if keys had moved: finds out. */
  refresh(): Promise<void>;
  /** `listener` is called when keys have moved to other servers. Returns how to stop that. */
  onMoved(listener: () => void): () => void;
}

/** Calls a script where `key` is. */
export async function runScript(
  deployment: Deployment,
  key: string,
  script: Script,
  keys: readonly string[],
  args: readonly (string | number)[],
): Promise<unknown> {
  let at: Redirection = { server: deployment.serverOf(key), asking: false };
  for (let tries = 1; ; tries++) {
    try {
      return await at.server.run(script, keys, args, at.asking);
    } catch (error) {
      const next = tries < TRIES ? await deployment.redirect(error, key) : undefined;
      if (next === undefined) throw error;
      at = next;
    }
  }
}

/** Calls a command where `key` is. */
export async function runCommand(
  deployment: Deployment,
  key: string,
  command: string,
  ...args: readonly string[]
): Promise<unknown> {
  let server = deployment.serverOf(key);
  for (let tries = 1; ; tries++) {
    try {
      return await server.call(command, ...args);
    } catch (error) {
      const next = tries < TRIES ? await deployment.redirect(error, key) : undefined;
      if (next === undefined) throw error;
      server = next.server;
    }
  }
}

/** The options of a connection that a URL says, less the address. */
export function credentialsOf(url: RedisUrl, context: LinkContext): ConnectionOptions {
  return {
    ...(url.username === undefined ? {} : { username: url.username }),
    ...(url.password === undefined ? {} : { password: url.password }),
    ...(url.tls ? { tls: { ...context.settings.tls } } : {}),
  };
}

export interface ServerFacts {
  readonly isCluster: boolean;
  readonly major: number;
}

/** Throws where the server is too old. */
export async function factsOf(server: Server): Promise<ServerFacts> {
  const info = String(await server.call("INFO", "server"));
  const version = /^redis_version:(\d+)\.(\d+)/m.exec(info);
  const [major, minor] = [Number(version?.[1] ?? 0), Number(version?.[2] ?? 0)];
  if (version !== null && (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]))) {
    throw new Error(`Redis at ${server.name} can't be used: it has to be 6.2 or later, it is ${major}.${minor}`);
  }
  return { isCluster: /^redis_mode:cluster/m.test(info), major };
}

/** One Redis, or the primary that sentinels tell of. */
export class SingleDeployment implements Deployment {
  readonly name: string;
  readonly isCluster = false;
  readonly publishes = "PUBLISH";
  private readonly server: Server;

  constructor(url: RedisUrl, context: LinkContext) {
    this.name = describeRedis(url);
    const [first = { host: "127.0.0.1", port: 6379 }] = url.hosts;
    const { sentinelUsername, sentinelPassword, tls } = url;
    const address: ConnectionOptions =
      url.kind === "single"
        ? first
        : {
            sentinels: [...url.hosts],
            name: url.master,
            ...(sentinelUsername === undefined ? {} : { sentinelUsername }),
            ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
            ...(tls ? { enableTLSForSentinelMode: true, sentinelTLS: { ...context.settings.tls } } : {}),
          };
    this.server = new Server(this.name, { ...address, ...credentialsOf(url, context), db: url.db }, context);
  }

  async start(): Promise<void> {
    await this.server.open();
    if (!(await factsOf(this.server)).isCluster) return;
    throw new Error(`Redis at ${this.name} is a server of a cluster: its URL begins with redis+cluster://`);
  }

  stop(): void {
    this.server.close();
  }

  servers(): readonly Server[] {
    return [this.server];
  }

  serverOf(): Server {
    return this.server;
  }

  async redirect(): Promise<undefined> {}

  async refresh(): Promise<void> {}

  onMoved(): () => void {
    return () => undefined;
  }
}
