import type {
  AcceptOptions,
  Agreement,
  ConnectRequest,
  ServerHandshakeOptions,
  UpgradeRequest,
} from "@tungstate/protocol";
import { agreeToUpgrade, type AgreedUpgrade } from "@tungstate/protocol/internal";
import type { Clock } from "../schedule/clock.ts";
import type { Route } from "../transport/route.ts";
import type { Transport } from "../transport/transport.ts";
import type { RefusedError } from "./admission/refused.ts";
import { sayAndEnd } from "./say-and-end.ts";

/** A handshake request that was found to be in order, of any version of HTTP. */
export type OpeningRequest = UpgradeRequest | ConnectRequest;

/** Answers a handshake in the format of its version of HTTP. */
export interface Responder {
  /** The route of the connection; undefined where it is not recorded. */
  readonly route: Route | undefined;
  /**
   * Agrees to a request of this version. Throws INVALID_ARGUMENT for options that cannot be sent.
   */
  agree(request: OpeningRequest, negotiation: ServerHandshakeOptions, options: AcceptOptions): Agreement;
  /**
   * Sends the response for a result of `agree`, or returns it, to be sent ahead of the first frame,
   * as text of characters up to U+00FF. Throws for header fields that cannot be sent.
   */
  accept(agreement: Agreement): string | undefined;
  /** Sends the response of a refusal, and ends the stream. */
  refuse(error: RefusedError, transport: Transport, clock: Clock): void;
}

/** Answers with the bytes of an HTTP/1.1 response. */
export const HTTP_1_RESPONDER: Responder = {
  route: undefined,
  agree: (request: UpgradeRequest, negotiation: ServerHandshakeOptions, options: AcceptOptions): AgreedUpgrade =>
    agreeToUpgrade(request, negotiation, options),
  accept: ({ head }: AgreedUpgrade): string => head,
  refuse: (error, transport, clock) => sayAndEnd(transport, error.response, clock),
};
