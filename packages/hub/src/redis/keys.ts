/**
 * The names of what is kept in Redis. Whatever belongs to a channel has the channel in braces, so that in a cluster all of it is in one
 * slot. The dot keeps the braces from being empty for a name that begins with one, which Redis would not count.
 */
export class Keys {
  private readonly prefix: string;

  /** Throws a TypeError: braces in the prefix would put all channels into one slot. */
  constructor(prefix: string) {
    if (prefix === "" || /[{}\p{Cc}\p{Cs}\s]/u.test(prefix)) {
      throw new TypeError(`prefix has to be text without braces and white space, got ${JSON.stringify(prefix)}`);
    }
    this.prefix = prefix;
  }

  /** What the channel's keys begin with, and what says at which Redis of several it is. */
  channel(channel: string): string {
    return `${this.prefix}:{.${channel}}`;
  }

  /** What says at which Redis of several the nodes talk to each other. */
  get nodes(): string {
    return `${this.prefix}:control`;
  }

  /**
   * The pub/sub channel of a channel, in the slot of its keys. Pub/sub knows no databases: without the number in the name, hubs on two databases of
   * one Redis would have each other's messages.
   */
  topic(channel: string, database: number): string {
    return `${this.prefix}:${database}:{.${channel}}`;
  }

  /** The pub/sub channel of what nodes tell each other. */
  control(database: number): string {
    return `${this.prefix}:${database}:control`;
  }

  /** The channel of a pub/sub channel. Undefined: not a channel's. */
  channelOf(topic: string, database: number): string | undefined {
    const start = this.topic("", database).length - 1;
    return topic.length > start && topic.endsWith("}") ? topic.slice(start, -1) : undefined;
  }

  /** Which channels of a namespace have a stream. */
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
 * What the key of an idempotency key has behind the channel's. Without a closing brace, so that the last one of a name is the end of the
 * channel: else the key `y}:m` of the channel `x` would be the meta of the channel `x}:i:y`.
 */
export function idempotencyEnd(key: string): string {
  return `:i:${key.replaceAll("%", "%25").replaceAll("}", "%7D")}`;
}

/** A command, with its arguments behind the key, that fails with WRONGTYPE if the key has another type than its name says. */
export function typeProbe(key: string): readonly [command: string, ...args: string[]] {
  const end = key.slice(key.lastIndexOf("}") + 1);
  if (end === STREAM) return ["XRANGE", "-", "-", "COUNT", "1"];
  if (end === META || end === PRESENCE_VALUES || end === PRESENCE_USERS) return ["HLEN"];
  return end.startsWith(":i:") ? ["GET"] : ["ZCARD"];
}
