import type { HeadLimits, WebSocketError } from "@tungstate/protocol";
import type { Clock } from "../../schedule/clock.ts";
import type { Deadlines } from "../../schedule/deadlines.ts";
import type { TransportSettings } from "../../transport/of.ts";
import type { RefusedError } from "../admission/refused.ts";
import type { Place } from "./first-request.ts";

/** The limits of a WebSocketServer for connections whose first request has not been read. */
export interface Arrivals {
  readonly settings: TransportSettings & { readonly clock: Clock; readonly deadlines: Deadlines };
  /** Time limit of a handshake in ms. */
  readonly timeout: number;
  readonly headLimits: Partial<HeadLimits> | undefined;
  /** Whether `arrive` needs the address. */
  readonly countsAddresses: boolean;
  /**
   * Counts a connection. Returns its place. If a limit is reached, reports the refusal and returns
   * it. `mayBeHttp`: the connection may be passed to an HTTP server.
   */
  arrive(address: string | undefined, mayBeHttp: boolean): Place | RefusedError;
  /** Reports a refusal. */
  onRefused(error: WebSocketError): void;
}
