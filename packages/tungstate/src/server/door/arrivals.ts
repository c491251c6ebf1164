import type { HeadLimits, WebSocketError } from "@tungstate/protocol";
import type { Clock } from "../../schedule/clock.ts";
import type { Deadlines } from "../../schedule/deadlines.ts";
import type { TransportSettings } from "../../transport/of.ts";
import type { RefusedError } from "../admission/refused.ts";
import type { Place } from "./first-request.ts";

/** The limits of a WebSocketServer on connections whose request is not known yet. */
export interface Arrivals {
  readonly settings: TransportSettings & { readonly clock: Clock; readonly deadlines: Deadlines };
  /** Time limit of a handshake in ms. */
  readonly timeout: number;
  readonly headLimits: Partial<HeadLimits> | undefined;
  /** Whether `arrive` needs the address. */
  readonly countsAddresses: boolean;
  /**
   * Counts a connection. Returns its place, or the refusal if there is none, which has been
   * reported. `mayBeHttp`: an HTTP server may get it.
   */
  arrive(address: string | undefined, mayBeHttp: boolean): Place | RefusedError;
  /** Reports a refusal. */
  onRefused(error: WebSocketError): void;
}
