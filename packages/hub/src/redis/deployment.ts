import type { ConnectionOptions, LinkContext } from "./link.ts";
import type { Script } from "./scripts.ts";
import { Server } from "./server.ts";
import { describeRedis, type RedisUrl } from "./urls.ts";
import { HubError } from "../errors.ts";

const OLDEST = [6, 2] as const;
const TRIES = 5; // of a command that is sent from one server of a cluster to another

/** The server that a cluster names for a key. */
export interface Redirection {
  readonly server: Server;
  /** The key is being moved there: the request must be preceded by ASKING. */
  readonly asking: boolean;
}

/** What hubs share: one Redis, a primary with replicas and sentinels, or a cluster. */
export interface Deployment {
  /** Name without credentials. */
  readonly name: string;
  /** Number of the database. */
  readonly database: number;
  /** Whether keys of different slots may be on different servers. */
  readonly isCluster: boolean;
  /** The command to publish: SPUBLISH reaches the clients that SSUBSCRIBE at the slot's server. */
  readonly publishes: "PUBLISH" | "SPUBLISH";
  /** Rejects if it cannot be reached, or is not a supported version of Redis. */
  start(): Promise<void>;
  stop(): void;
  /** The servers that have keys. */
  servers(): readonly Server[];
  /** Returns the server of a key. Throws if none is known. */
  serverOf(key: string): Server;
  /** Returns where to try again after an error; undefined if the error is the result. */
  redirect(error: unknown, key: string): Promise<Redirection | undefined>;
  /** Finds out whether keys have moved. */
  refresh(): Promise<void>;
  /** Calls `listener` when keys have moved to other servers. Returns a function that ends it. */
  onMoved(listener: () => void): () => void;
}

/** Runs a script at the server of `key`. */
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

/** Runs a command at the server of `key`. */
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

/** Returns the connection options of a URL, without the address. */
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

/**
 * Asks a server for its version and role. Every user may call HELLO; INFO, which an ACL may forbid,
 * is for servers without HELLO. Throws if the server is too old. A server that answers neither
 * counts as a new one, and as one of a cluster if `expectsCluster`.
 */
export async function factsOf(server: Server, expectsCluster: boolean): Promise<ServerFacts> {
  const { version, mode } = (await factsByHello(server)) ?? (await factsByInfo(server));
  const [, first, second] = /^(\d+)\.(\d+)/.exec(version) ?? [];
  if (first === undefined) return { isCluster: mode === "" ? expectsCluster : mode === "cluster", major: OLDEST[0] };
  const [major, minor] = [Number(first), Number(second)];
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
    throw new HubError(
      "STORE_UNUSABLE",
      `Redis at ${server.name} can't be used: expected version 6.2 or later, got ${major}.${minor}`,
    );
  }
  return { isCluster: mode === "cluster", major };
}

interface ToldFacts {
  /** "" if the server does not say. */
  readonly version: string;
  readonly mode: string;
}

/** The reply is a list of names and values, or an object of them. */
async function factsByHello(server: Server): Promise<ToldFacts | undefined> {
  try {
    const reply = await server.ask("HELLO");
    const pairs = new Map<string, string>();
    if (Array.isArray(reply)) {
      for (let i = 0; i + 1 < reply.length; i += 2) pairs.set(String(reply[i]), String(reply[i + 1]));
    } else {
      for (const [name, value] of Object.entries(Object(reply))) pairs.set(name, String(value));
    }
    const version = pairs.get("version");
    return version === undefined ? undefined : { version, mode: pairs.get("mode") ?? "" };
  } catch {
    return undefined;
  }
}

async function factsByInfo(server: Server): Promise<ToldFacts> {
  try {
    const info = String(await server.ask("INFO", "server"));
    const field = (name: string): string => new RegExp(`^${name}:(\\S+)`, "m").exec(info)?.[1] ?? "";
    return { version: field("redis_version"), mode: field("redis_mode") };
  } catch (error) {
    if (!server.isUp) throw error;
    return { version: "", mode: "" };
  }
}

/** A single Redis, or the primary that sentinels name. */
export class SingleDeployment implements Deployment {
  readonly name: string;
  readonly database: number;
  readonly isCluster = false;
  readonly publishes = "PUBLISH";
  private readonly server: Server;

  constructor(url: RedisUrl, context: LinkContext) {
    this.name = describeRedis(url);
    this.database = url.db;
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
    if (!(await factsOf(this.server, false)).isCluster) return;
    throw new HubError(
      "STORE_UNUSABLE",
      `Redis at ${this.name} is a server of a cluster: use a URL that begins with redis+cluster://`,
    );
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
