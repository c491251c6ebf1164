/** A connected client, as the application sees it. */
export interface ClientSession {
  /** Unique among all connections of all nodes. */
  readonly client: string;
  /** "" for an anonymous user. */
  readonly user: string;
  /** What others may know of it: goes with its publications, presence, joins and leaves. */
  readonly info: unknown;
  /** What only the application knows of it. */
  readonly meta: unknown;
  /** What whoever accepted the connection gave to the hub, such as the request. */
  readonly context: unknown;
  /** The channels it is subscribed to. */
  readonly channels: readonly string[];
  /** Sends a message that belongs to no channel. */
  send(data: unknown): void;
  /** Ends the connection. Default: 3503, after which the client does not come back by itself. */
  disconnect(code?: number, reason?: string): void;
}
