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

  /** The channel's pub/sub channel, and what its other keys begin with. */
  channel(channel: string): string {
    return `${this.prefix}:{.${channel}}`;
  }

  /** The channel of a pub/sub channel. Undefined: not a channel's. */
  channelOf(name: string): string | undefined {
    const start = this.prefix.length + 3;
    return name.length > start && name.endsWith("}") ? name.slice(start, -1) : undefined;
  }

  /** The pub/sub channel of what nodes tell each other. */
  get control(): string {
    return `${this.prefix}:control`;
  }

  presence(channel: string): readonly [expiries: string, values: string, users: string] {
    const base = this.channel(channel);
    return [`${base}:pe`, `${base}:pv`, `${base}:pu`];
  }
}

export const META = ":m";
export const STREAM = ":s";

/**
 * What the key of an idempotency key has behind the channel's. Without a closing brace, so that the last one of a name is the end of the
 * channel: else the key `y}:m` of the channel `x` would be the meta of the channel `x}:i:y`.
 */
export function idempotencyEnd(key: string): string {
  return `:i:${key.replaceAll("%", "%25").replaceAll("}", "%7D")}`;
}
