import { argumentError } from "tungstate/internal";
/**
 * The names of keys and pub/sub channels. Names that belong to a channel contain it in braces, so
 * that a cluster keeps them in one slot. The dot prevents empty braces, which Redis would ignore,
 * for a channel name that begins with a brace.
 */
export class Keys {
  private readonly prefix: string;

  /** Throws a TypeError for a prefix with braces, which would put all channels into one slot. */
  constructor(prefix: string) {
    if (prefix === "" || /[{}\p{Cc}\p{Cs}\s]/u.test(prefix)) {
      throw argumentError(
        TypeError,
        `prefix must be a string without braces and white space, got ${JSON.stringify(prefix)}`,
      );
    }
    this.prefix = prefix;
  }

  /** Returns the prefix of a channel's keys; it also selects one of several Redis. */
  channel(channel: string): string {
    return `${this.prefix}:{.${channel}}`;
  }

  /** Selects one of several Redis for the messages between nodes. */
  get nodes(): string {
    return `${this.prefix}:control`;
  }

  /**
   * Returns the pub/sub channel of a channel, in the slot of its keys. Pub/sub ignores databases:
   * without the number in the name, hubs on two databases of one Redis would exchange messages.
   */
  topic(channel: string, database: number): string {
    return `${this.prefix}:${database}:{.${channel}}`;
  }

  /** Returns the pub/sub channel of the messages between nodes. */
  control(database: number): string {
    return `${this.prefix}:${database}:control`;
  }

  /** Returns the channel of a pub/sub channel; undefined if it is not one of a channel. */
  channelOf(topic: string, database: number): string | undefined {
    const start = this.topic("", database).length - 1;
    return topic.length > start && topic.endsWith("}") ? topic.slice(start, -1) : undefined;
  }

  /** Returns the key of the index of a namespace's channels. */
  index(namespace: string): string {
    return `${this.prefix}:channels:${namespace}`;
  }

  presence(channel: string): readonly [expiries: string, values: string, users: string] {
    const base = this.channel(channel);
    return [base + PRESENCE_EXPIRIES, base + PRESENCE_VALUES, base + PRESENCE_USERS];
  }
}

export const META = ":m";
export const STREAM = ":s";
const PRESENCE_EXPIRIES = ":pe";
const PRESENCE_VALUES = ":pv";
const PRESENCE_USERS = ":pu";

/**
 * Returns the suffix of an idempotency key's name. It has no closing brace, so that the last brace
 * of a name ends the channel: otherwise the key `y}:m` of the channel `x` would be the meta key of
 * the channel `x}:i:y`.
 */
export function idempotencyEnd(key: string): string {
  return `:i:${key.replaceAll("%", "%25").replaceAll("}", "%7D")}`;
}

/**
 * Returns a command, with its arguments after the key, that fails with WRONGTYPE if the key does
 * not have the type that its name implies.
 */
export function typeProbe(key: string): readonly [command: string, ...args: string[]] {
  const end = key.slice(key.lastIndexOf("}") + 1);
  if (end === STREAM) return ["XRANGE", "-", "-", "COUNT", "1"];
  if (end === META || end === PRESENCE_VALUES || end === PRESENCE_USERS) return ["HLEN"];
  return end.startsWith(":i:") ? ["GET"] : ["ZCARD"];
}
