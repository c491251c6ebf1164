import type { PreparedMessage } from "@tungstate/protocol";
import { BroadcastQueue } from "../broadcast/broadcast-queue.ts";
import { driverOf } from "../connection/connection.ts";
import type { Driver, Membership } from "../connection/driver/driver.ts";
import type { ConnectionSettings } from "../connection/options.ts";
import type { WebSocketConnection } from "../connection/types.ts";
import { ConnectionSet } from "./connection-set.ts";

/** The connections of a server that are open or closing, and what all of them are sent. */
export class Members {
  /** The same connections, for users. */
  readonly connections: ReadonlySet<WebSocketConnection>;
  private readonly open = new Set<Driver>();
  private readonly broadcasts: BroadcastQueue;
  private readonly membership: Membership;
  /**
   * The function of each connection that frees its place among those of its address, where these
   * are counted.
   */
  private readonly leave = new Map<Driver, () => void>();

  constructor(settings: ConnectionSettings, onHandlerError: (error: unknown) => void) {
    const { flusher, writeBufferSize, protocol } = settings;
    this.connections = new ConnectionSet(this.open);
    this.broadcasts = new BroadcastQueue(this.open, { flusher, writeBufferSize, maxFrameSize: protocol.maxFrameSize });
    const owner = { onConnectionClosed: (driver: Driver) => this.remove(driver), onHandlerError };
    this.membership = { owner, broadcasts: this.broadcasts };
  }

  get size(): number {
    return this.open.size;
  }

  /** `leave` is called when the connection has ended. */
  add(driver: Driver, leave: (() => void) | undefined): void {
    if (leave !== undefined) this.leave.set(driver, leave);
    this.open.add(driver);
    driver.join(this.membership);
  }

  private remove(driver: Driver): void {
    this.open.delete(driver);
    this.broadcasts.forget(driver);
    this.leave.get(driver)?.();
    this.leave.delete(driver);
  }

  /**
   * Sends a message to all but `except`. Returns how many connections have more than
   * `writeBufferSize` queued.
   */
  broadcast(message: PreparedMessage, except: WebSocketConnection | undefined): number {
    const excepted = driverOf(except);
    return this.broadcasts.add(message, excepted !== undefined && this.open.has(excepted) ? excepted : undefined);
  }

  /** Closes all connections. Resolves when they have ended. */
  async close(code: number, reason: string): Promise<void> {
    await Promise.all([...this.open].map((driver) => driver.close(code, reason)));
  }

  terminate(): void {
    for (const driver of this.open) driver.terminate();
  }
}
