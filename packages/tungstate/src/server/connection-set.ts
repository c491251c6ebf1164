import { driverOf } from "../connection/connection.ts";
import type { Driver } from "../connection/driver/driver.ts";
import type { WebSocketConnection } from "../connection/types.ts";

/** A read-only live view of the connections of a set of drivers. */
export class ConnectionSet implements ReadonlySet<WebSocketConnection> {
  readonly #drivers: ReadonlySet<Driver>;

  constructor(drivers: ReadonlySet<Driver>) {
    this.#drivers = drivers;
  }

  get size(): number {
    return this.#drivers.size;
  }

  has(connection: WebSocketConnection): boolean {
    const driver = driverOf(connection);
    return driver !== undefined && this.#drivers.has(driver);
  }

  forEach(
    callback: (value: WebSocketConnection, key: WebSocketConnection, set: ReadonlySet<WebSocketConnection>) => void,
    self?: unknown,
  ): void {
    for (const { connection } of this.#drivers) Reflect.apply(callback, self, [connection, connection, this]);
  }

  *values(): SetIterator<WebSocketConnection> {
    for (const { connection } of this.#drivers) yield connection;
  }

  keys(): SetIterator<WebSocketConnection> {
    return this.values();
  }

  *entries(): SetIterator<[WebSocketConnection, WebSocketConnection]> {
    for (const { connection } of this.#drivers) yield [connection, connection];
  }

  [Symbol.iterator](): SetIterator<WebSocketConnection> {
    return this.values();
  }
}
