import type { ClientInfo, Position, Publication } from "../broker/broker.ts";

/** A client in a channel. */
export interface PresentClient {
  /** The client's id, unique among all nodes. */
  readonly client: string;
  /** The user; "" is an anonymous one. */
  readonly user: string;
  /** `info` of the connection's credentials. */
  readonly connInfo: unknown;
  /** `info` of the subscription. */
  readonly chanInfo: unknown;
}

/** A publication read from history. */
export interface PastPublication {
  /** Its number in the stream, from 1. */
  readonly offset: number;
  /** What was published. */
  readonly data: unknown;
  /** The client that published it; undefined: the server did. */
  readonly info: PresentClient | undefined;
  /** The `tags` that it was published with. */
  readonly tags: Readonly<Record<string, string>> | undefined;
}

/** Publications read from history. The position is the top of the stream when they were read. */
export interface PastPublications extends Position {
  /** In the order of their offsets; the other way round with `reverse`. */
  readonly publications: readonly PastPublication[];
}

/** Returns a publication as applications see it. */
export function pastPublication({ offset, data, info, tags }: Publication): PastPublication {
  return {
    offset,
    data: JSON.parse(data) as unknown,
    info: info === undefined ? undefined : presentClient(info),
    tags,
  };
}

/** Returns a client as applications see it. */
export function presentClient({ client, user, connInfo, chanInfo }: ClientInfo): PresentClient {
  const parse = (text: string | undefined): unknown => (text === undefined ? undefined : JSON.parse(text));
  return { client, user, connInfo: parse(connInfo), chanInfo: parse(chanInfo) };
}
