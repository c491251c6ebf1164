/** A connected client, as the application sees it. */
export interface ClientSession {
  /** Id of the connection, unique among all nodes. */
  readonly client: string;
  /** The user; "" is an anonymous one. */
  readonly user: string;
  /** What others may know of the client: goes with its publications, presence, joins and leaves. */
  readonly info: unknown;
  /** Data for the application only. */
  readonly meta: unknown;
  /** The `context` of `attachSocket`, such as the request. */
  readonly context: unknown;
  /** The channels that it is subscribed to. */
  readonly channels: readonly string[];
  /** Sends a message that belongs to no channel. */
  send(data: unknown): void;
  /** Closes the connection. Default: 3503, after which the client does not reconnect. */
  disconnect(code?: number, reason?: string): void;
}
